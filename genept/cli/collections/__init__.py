"""`genept collections`: one's own files, and samples of large public collections."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
