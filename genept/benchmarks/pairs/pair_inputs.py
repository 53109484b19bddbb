"""What a head reads of the vectors of two genes."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import polars as pl
from scipy.sparse import hstack

from genept.benchmarks.fitted_heads import Features
from genept.benchmarks.task_base import GeneVectors

SUM: Final = "sum"


def _side_by_side(*blocks: Any) -> Any:
    if isinstance(blocks[0], np.ndarray):
        return np.concatenate(blocks, axis=1)
    return hstack(blocks, format="csr")


def _all_symmetric(a: Any, b: Any) -> Any:
    """Sum, product and absolute difference; dense ones are made in their place, which is large."""
    if not isinstance(a, np.ndarray):
        return _side_by_side(a + b, a * b, abs(a - b))
    n, d = a.shape
    x = np.empty((n, 3 * d), np.result_type(a, b))
    added, multiplied, apart = x[:, :d], x[:, d : 2 * d], x[:, 2 * d :]
    np.add(a, b, out=added)
    np.multiply(a, b, out=multiplied)
    np.abs(np.subtract(a, b, out=apart), out=apart)
    return x


FEATURES: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    SUM: lambda a, b: a + b,
    "product": lambda a, b: a * b,
    "absolute-difference": lambda a, b: abs(a - b),
    "concatenation": _side_by_side,
    "all-symmetric": _all_symmetric,
}
"""What a head reads of the vectors of two genes, by name."""


def pair_features(vectors: GeneVectors, pairs: pl.DataFrame, feature: str) -> Features:
    """What a head reads of pairs: one of `FEATURES`, of the vectors of their two genes.

    Parameters
    ----------
    vectors
        Of genes.
    pairs
        ``gene_a`` and ``gene_b``.
    feature
        Name of the feature. Raises `ValueError` if there is none of it.

    Returns
    -------
    NDArray or csr_array
        One row for each pair.
    """
    if feature not in FEATURES:
        raise ValueError(f"unknown feature {feature!r}; known are {tuple(FEATURES)}")
    a, b = (vectors.features_of(pairs[side].to_list()) for side in ("gene_a", "gene_b"))
    of_pairs: Features = FEATURES[feature](a, b)
    return of_pairs
