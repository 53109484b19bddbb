"""Tasks on cells: types by nearest neighbours, clusters, and mixing of batches.

Tasks on genes, and what all tasks share (scores, resampling, the leaderboard), is in
`genept.benchmarks`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
