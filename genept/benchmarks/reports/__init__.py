"""Tables, figures and sentences of the leaderboard, made of published rows.

Nothing here is scored; scores are in `genept.benchmarks`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
