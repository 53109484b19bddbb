"""Checks that every table must pass before it is published.

Suites are derived from `genept.schema.tables`; Great Expectations evaluates them on scalar columns,
numpy checks matrices. How a failed check blocks a run is defined in `orchestration`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
