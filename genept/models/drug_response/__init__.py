"""Drug response of cell lines: screens, models, evaluation, training, serving."""
