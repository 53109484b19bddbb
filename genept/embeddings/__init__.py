"""Cells and samples as weighted means of their genes' vectors (GenePT-w)."""
