"""What unit expression values can be in, told by the values themselves.

A claim of the catalogue that the values contradict is refused at ingest. Several
units may fit a few values; only what cannot be is ever refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Unlog: TypeAlias = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]

LOG_CEILING = 30.0
"""No logarithm of an expression value exceeds this: 2^30 reads of one gene."""

PER_MILLION = 1e6
_CLOSE = 0.02
_FEW = 0.01
"""Share of negative values below which whole numbers are counts with a mistake in them."""


@dataclass(frozen=True)
class UnitFinding:
    """Units that fit, the likeliest first, and what was seen."""

    possible: tuple[str, ...]
    seen: str
    is_flawed: bool = False
    """Whether some values are none of the unit's: what was seen is the likeliest all the same."""

    @property
    def are_counts(self) -> bool:
        """Whether they can be nothing but counts, all of them."""
        return self.possible == ("counts",) and not self.is_flawed


def detect_unit(values: sp.csr_matrix) -> UnitFinding:
    """Tell the unit of a sample of observations.

    Parameters
    ----------
    values
        Observations × genes, as published; a few hundred observations are enough.

    Returns
    -------
    UnitFinding
        ``counts`` are whole numbers; ``tpm`` are abundances whose sums agree or which
        are too large for logarithms; ``log1p`` and ``log2`` are small and not whole;
        what is negative is ``log2`` (of a ratio, or without pseudocount) or ``zscore``, unless
        it is one in hundreds of whole numbers: those are ``counts`` with a mistake. Values that
        are not finite tell nothing; the ingest names the first of them.
    """
    if not (finite := np.isfinite(values.data)).all():
        known = np.where(finite, values.data, 0)
        values = sp.csr_matrix((known, values.indices, values.indptr), shape=values.shape)
    data = values.data
    if not data.size:
        return UnitFinding((), "no value other than zero")
    low, high = float(data.min()), float(data.max())
    possible, why = _of_range(values, low, high)
    flawed = low < 0 and possible == ("counts",)
    return UnitFinding(possible, f"values from {low:.4g} to {high:.4g}, {why}", flawed)


def _of_range(values: sp.csr_matrix, low: float, high: float) -> tuple[tuple[str, ...], str]:
    data = values.data
    whole = np.array_equal(data, np.floor(data))
    if low < 0:
        share = float(np.mean(data < 0))
        if whole and share < _FEW:  # the ingest names the first that cannot be one
            return ("counts",), f"all whole, {share:.2%} negative"
        return _of_negatives(values), f"{share:.0%} negative"
    if _alike(_sums_of(values, np.positive), PER_MILLION):
        return ("tpm",), "every sum about a million"
    if whole or high > LOG_CEILING:
        return ("counts",) if whole else ("tpm",), "all whole" if whole else "too large for logs"
    for unit, unlog in (("log1p", np.expm1), ("log2", _exp2m1)):
        if _alike(_sums_of(values, unlog), None):
            return (unit,), f"not whole; taken back from {unit}, they add up to the same everywhere"
    return ("log2", "log1p", "tpm"), "not whole"


def _exp2m1(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.exp2(values) - 1


def _of_negatives(values: sp.csr_matrix) -> tuple[str, ...]:
    """z-scores lie around zero, per observation or per gene; logarithms need not."""
    dense = values.astype(np.float64).toarray()
    for axis in (0, 1):
        mean, spread = dense.mean(axis=axis), dense.std(axis=axis)
        if dense.shape[axis] > 2 and np.median(np.abs(mean)) < 0.25 * np.median(spread):
            return ("zscore", "log2")
    return ("log2", "zscore")


def _sums_of(values: sp.csr_matrix, unlog: Unlog) -> npt.NDArray[np.float64]:
    back = sp.csr_matrix(
        (unlog(values.data.astype(np.float64)), values.indices, values.indptr), shape=values.shape
    )
    return np.asarray(back.sum(axis=1).A1, dtype=np.float64)


def _alike(sums: npt.NDArray[np.float64], expected: float | None) -> bool:
    """Whether more than a few sums agree, with what is expected or with each other."""
    sums = sums[sums != 0]
    if sums.size < 3:
        return False
    middle = float(np.median(sums)) if expected is None else expected
    return bool(np.mean(np.abs(sums - middle) <= _CLOSE * middle) > 0.9)
