"""Tasks on membership in many terms, their folds, and late fusion on these."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
