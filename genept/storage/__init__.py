"""Storage: the S3 client with conditional writes, parquet files, the lake, the embedded server.

What a release is belongs to `genept.release`; which tables exist, to `genept.schema`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
