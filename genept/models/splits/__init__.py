"""Splits that keep groups whole: groups, folds, the holdout."""
