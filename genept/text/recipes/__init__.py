"""Recipes: what descriptions are made of, in which order, how long, and without which words.

Composing texts by them is in `genept.text`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
