"""Models of diagnosis: their tasks, what is trained on which samples, and their retraining.

What they share with models of drug response (splits, gate, registry) is in `genept.models`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
