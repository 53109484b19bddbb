"""Tasks on pairs of genes: which belong together.

Tasks whose pairs have folds of their own are `genept.benchmarks.split_tasks`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
