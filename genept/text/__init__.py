"""What is known about a gene as text, the text as a vector, and the cache that never pays twice."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
