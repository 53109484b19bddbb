"""Search in a release by texts, genes and observations; and profiles that are generated for a text.

Which release is read, and its tables, are `genept.client.release_lookup` and `vectors`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
