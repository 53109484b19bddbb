"""Models of bulk samples: diagnosis and drug response, their splits, registry and promotion.

Representations are compared in `genept.benchmarks`; schedules of retraining are in `orchestration`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
