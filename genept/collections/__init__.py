"""Collections: parsed observations whose genes are mapped, merged and written as clean parquet.

Reading the publishers' formats belongs to `genept.datasources`; what a name means to
`genept.nomenclature`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
