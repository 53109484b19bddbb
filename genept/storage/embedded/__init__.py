"""The embedded object store: a local SeaweedFS server with its data in one folder.

Access to buckets is in `genept.storage`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
