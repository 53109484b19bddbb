"""Dagster assets: one module per group.

An asset calls the library and returns the table that it built. How it is run, stored
and checked is decided in `orchestration`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
