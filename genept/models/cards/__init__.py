"""Model cards and other reports on a model."""
