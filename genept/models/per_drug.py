"""Correlations within each drug over its lines, and their median over drugs with its interval.

A resample of lines changes only how often each counts, so sums by drug and line are enough.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genept.benchmarks.intervals import Floats, group_codes, group_draws, percentiles
from genept.benchmarks.scores import StratifiedSpearman

N_RESAMPLES: Final = 100
Scored = tuple[float, float | None, float | None]
"""A value and its 95 % interval, where there is one."""
_TINY: Final = 1e-9


class StratifiedPearson:
    """Pearson's correlation of `x` and `y` within each stratum, for any weights of the rows."""

    def __init__(self, x: Floats, y: Floats, strata: NDArray[Any]) -> None:
        _, self._codes = np.unique(strata, return_inverse=True)
        n = np.bincount(self._codes)
        # Centred by stratum: nothing is lost to rounding when sums of squares are subtracted.
        x, y = (one - (np.bincount(self._codes, one) / n)[self._codes] for one in (x, y))
        self._columns = (np.ones(len(x)), x, y, x * x, y * y, x * y)

    def correlations(self, weights: Floats) -> Floats:
        """Correlation per stratum; NaN where it is undefined."""
        n, x, y, xx, yy, xy = (
            np.bincount(self._codes, weights * column) for column in self._columns
        )
        n = np.maximum(n, 1)
        spread = (xx - x * x / n) * (yy - y * y / n)
        defined = spread > _TINY
        return np.where(defined, (xy - x * y / n) / np.sqrt(np.where(defined, spread, 1)), np.nan)


def per_drug_scores(
    measured: Floats, predicted: Floats, drug: NDArray[Any], groups: NDArray[Any], *, seed: int
) -> dict[str, Scored]:
    """Median over drugs of both correlations over lines, with 95 % intervals over groups.

    Drugs for which one value is predicted for all lines are left out; where that is so for
    all, or where only one group is left to resample, there is no score or no interval.
    """
    highest, lowest = (np.full(int(drug.max()) + 1, start) for start in (-np.inf, np.inf))
    np.maximum.at(highest, drug, predicted)
    np.minimum.at(lowest, drug, predicted)
    kept = (highest - lowest > _TINY)[drug]
    if not kept.any():
        return {}
    codes, n_groups = group_codes(groups)
    rows = (measured[kept], predicted[kept], drug[kept])
    found: dict[str, Scored] = {}
    for name, within in (
        ("pearson", StratifiedPearson(*rows)),
        ("spearman", StratifiedSpearman(*rows)),
    ):
        value = np.nanmedian(within.correlations(np.ones(int(kept.sum()))))
        if not np.isfinite(value):
            continue
        medians = [
            np.nanmedian(
                within.correlations(np.bincount(drawn, minlength=n_groups)[codes[kept]] * 1.0)
            )
            for drawn in group_draws(n_groups, N_RESAMPLES, seed)
        ]
        found[f"median_per_drug_{name}"] = (float(value), *percentiles(medians, 0.95))
    return found
