"""The catalogue page of a release: one static page that needs neither a server nor JavaScript."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
