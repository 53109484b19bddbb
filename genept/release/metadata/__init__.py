"""What a release says of itself in formats that others read, made from the declarations of tables.

One module for each format; what they share is in `release_description` and `usage_terms`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
