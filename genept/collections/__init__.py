"""Collections: parsed observations whose genes are mapped, merged and written as clean parquet.

Reading the publishers' formats belongs to `genept.datasources`; what a name means to
`genept.nomenclature`.
"""
