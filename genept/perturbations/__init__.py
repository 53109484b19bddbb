"""Perturbations: what knocking a gene down does to others, measured, and predicted where it is not.

Screens are read in `genept.datasources`; vectors of genes are made in `genept.text`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
