"""What an analyst or a program opens: a release, its tables and vectors, an installation."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
