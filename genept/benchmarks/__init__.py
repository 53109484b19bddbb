"""Benchmarks of representations: tasks, scores with intervals, controls, and the leaderboard.

Tasks and metrics work on arrays and frames in memory. Training of models is in `genept.models`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
