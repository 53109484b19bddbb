"""Matrices and tables in delimited text, read in bounded memory."""
