"""Expression and text: labels of observations by text alone, and descriptions of groups in words.

Readings use no label of an observation; descriptions compare the groups that labels make. Nothing
is fitted here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
