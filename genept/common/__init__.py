"""Settings, errors, processes, private files and display, used by every package.

Nothing here depends on genes, tables or the object store.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
