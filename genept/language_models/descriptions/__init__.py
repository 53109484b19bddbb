"""Descriptions that a language model writes from evidence, sentence by sentence with what it cites.

How texts are composed of what was written, by recipes, is in `genept.text`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
