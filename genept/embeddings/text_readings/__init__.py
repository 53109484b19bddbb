"""Expression and text, both ways: labels of observations by text, descriptions of groups, profiles.

`readings` uses no label of an observation; `group_*` compares groups; `text_maps` and
`type_regressions` are fitted on labels, and `generated_profiles` are for texts that nothing was
labelled with.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
