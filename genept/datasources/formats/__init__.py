"""The formats of collections by name, what each needs to know, and those of other distributions.

How a format is read is in `genept.datasources.readers`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
