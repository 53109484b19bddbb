"""Embedders behind a key: requests and batches to a server, what they cost, and what may be spent.

Embedders of this machine, and the cache that both kinds share, are in `genept.text`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
