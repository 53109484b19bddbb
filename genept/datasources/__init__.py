"""Public sources: the catalogue, verified downloads, and parsers of publishers' formats.

Parsers return what the publisher wrote, checked but not mapped. Gene names are
resolved in `genept.nomenclature`; tables are written by `genept.storage`.
"""
