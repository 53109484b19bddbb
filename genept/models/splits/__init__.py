"""Splits that keep models honest: groups, folds, the holdout."""
