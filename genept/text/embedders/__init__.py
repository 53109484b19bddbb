"""Text embedders, the spaces they make with recipes, and the cache of their vectors."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
