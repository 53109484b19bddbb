"""Drugs that a screen did not measure: predicted by what is known of them, scored and published."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
