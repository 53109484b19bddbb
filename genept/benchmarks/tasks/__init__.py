"""Benchmark tasks on genes, pairs of genes and cells, in memory and as steps of the lake."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
