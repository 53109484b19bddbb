"""A child process that reads an untrusted file, its limits, and who watches it.

What is read in it is the business of its callers.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
