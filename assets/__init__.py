"""What exists: one file per Dagster group; the graph reads like a contents page.

An asset calls the library and returns the table it made. How it is run, stored
and checked is decided in `orchestration`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
