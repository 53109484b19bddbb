"""Cells and samples as weighted means of their genes' vectors (GenePT-w)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
