"""Gene descriptions: recipes, what is known of each gene, and the text composed of it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
