"""Gene names and what they mean: the reference, and the mapping of any name to it.

Reading the publishers' files belongs to `genept.datasources`; merging the columns of
a matrix that land on one gene belongs to `genept.collections`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
