"""Descriptions that improve themselves: edits that are kept if they raise scores of training genes.

Language models are not changed; what is learnt is which edit suits which kind of gene.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
