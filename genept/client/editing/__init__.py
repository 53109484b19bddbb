"""Editing descriptions on an installation: tasks that score edits, and what is kept of them.

The loop itself is `genept.language_models.self_editing`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
