"""Matrices and tables in HDF5 files (h5ad, Cell Ranger, ARCHS4), read in bounded memory."""
