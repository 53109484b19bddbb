"""Tasks on genes with splits of a kind of their own: nested folds of pairs, cell lines, time.

Other tasks are in `genept.benchmarks`; which tasks there are, in `genept.benchmarks.task_registry`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
