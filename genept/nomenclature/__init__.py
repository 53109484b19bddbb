"""Gene names and what they mean: the reference, and the mapping of any name to it.

Reading the publishers' files belongs to `genept.datasources`; merging the columns of
a matrix that land on one gene belongs to `genept.collections`.
"""
