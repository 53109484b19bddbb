"""Pages that people read: the site of a release, models and spaces compared, games.

Each page is chosen from tables here and laid out by a template in `site/`. Cards of models and
pages of checks are where models and checks are.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
