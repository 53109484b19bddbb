"""Probes of language models: tests that a model takes before what it writes is released.

What it writes is `genept.language_models.descriptions`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
