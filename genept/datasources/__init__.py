"""Public sources: what is ingested, how it is fetched and verified, and how it is parsed.

Parsers hand over what the publisher wrote, checked but unmapped. Gene names are
resolved in `genept.nomenclature`; tables are written by `genept.storage`.
"""
