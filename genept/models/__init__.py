"""Models of bulk samples: diagnosis and drug response, with the splits that keep them honest.

Works on arrays and frames in memory; storage and orchestration belong elsewhere.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
