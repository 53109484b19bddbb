"""Reading expression by text: what observations express of the genes that a text speaks of.

No label of an observation is read here. Maps that are fitted on labels do not belong here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
