"""Public sources: the catalogue, verified downloads, and parsers of publishers' formats.

Parsers return what the publisher wrote, checked but not mapped. Gene names are
resolved in `genept.nomenclature`; tables are written by `genept.storage`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
