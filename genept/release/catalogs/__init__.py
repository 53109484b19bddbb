"""SQL catalogues: of each release, and of all that are kept; see docs/reading.md."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
