"""Releases: staged, audited, sealed, approved, made current; compared, rolled back, collected.

What the lake and the object store are belongs to `genept.storage`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
