"""Drug-response models: features, training, evaluation, serving."""
