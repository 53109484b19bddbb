"""Readers of formats, whoever publishes in them; untrusted files in a child process."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
