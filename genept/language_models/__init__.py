"""Language models: chats with declared models, cached, checked, and paid within limits.

Embedders are `genept.text`; what both share (a service behind a key, what may be spent, the ledger)
is `genept.text.hosted`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
