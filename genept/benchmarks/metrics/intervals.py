"""Confidence intervals by bootstrap over whole groups: donors, patients, cell lines, cells.

Whole groups are drawn with replacement, and the percentiles of the statistic
are the interval. The statistics themselves are in `genept.benchmarks.metrics.scores`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

N_RESAMPLES = 500


def group_codes(groups: ArrayLike) -> tuple[NDArray[np.intp], int]:
    """Number the groups: a code per row, and how many there are.

    Parameters
    ----------
    groups
        Group of each row, such as its patient, shape (n,).

    Returns
    -------
    tuple of NDArray and int
        Code of each row, 0 … number of groups − 1 in the order of the names, shape (n,); and the
        number of groups.

    Raises
    ------
    ValueError
        For fewer than two groups: resampling a single one says nothing.
    """
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 2:
        raise ValueError(
            f"an interval needs at least two groups to resample, got {len(names)}; "
            "give the column that tells patients, lines or cells apart"
        )
    return codes, len(names)


def group_draws(n_groups: int, n_resamples: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """Yield `n_resamples` draws of `n_groups` groups, with replacement.

    Every interval draws here, so that two statistics with one seed see the same resamples.

    Parameters
    ----------
    n_groups
        Number of groups; as many are drawn each time.
    n_resamples
        Number of draws.
    seed
        Same seed and number of groups, same draws.

    Yields
    ------
    NDArray
        Codes of the drawn groups, shape (n_groups,).
    """
    rng = np.random.default_rng(seed)
    for _ in range(n_resamples):
        yield rng.integers(n_groups, size=n_groups, dtype=np.intp)


def percentiles(values: ArrayLike, confidence: float) -> tuple[float, float]:
    """Equal-tailed percentiles of resampled statistics; refuses undefined ones.

    Parameters
    ----------
    values
        The statistic on each resample, shape (n_resamples,).
    confidence
        Share of the resamples between the two percentiles, such as .95.

    Returns
    -------
    tuple of float
        The lower and the upper percentile.

    Raises
    ------
    ValueError
        If a value is not finite, or `confidence` is not between 0 and 1.
    """
    resampled = np.asarray(values, dtype=np.float64)
    undefined = int((~np.isfinite(resampled)).sum())
    if undefined:
        raise ValueError(
            f"the statistic is undefined in {undefined} of {len(resampled)} resamples; "
            "score more groups, or a statistic that is defined on few"
        )
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def bootstrap_interval(
    statistic: Callable[[NDArray[np.intp]], float],
    groups: ArrayLike,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Interval of any statistic, resampling whole groups of rows.

    Parameters
    ----------
    statistic
        Takes row indices (with repetitions) and returns the score of those rows.
    groups
        Unit of resampling of each row, shape (n,).
    n_resamples
        Number of resamples.
    seed
        Same seed and groups, same resamples.
    confidence
        Share of the resamples inside the interval.

    Returns
    -------
    tuple of float
        Both ends of the equal-tailed percentile interval.

    Raises
    ------
    ValueError
        For fewer than two groups, or a statistic that is not finite on a resample.
    """
    codes, n_groups = group_codes(groups)
    rows = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes, minlength=n_groups)
    starts = np.cumsum(sizes) - sizes

    def score(drawn: NDArray[np.intp]) -> float:
        taken = sizes[drawn]
        # Position within the drawn group: a running count that restarts with every group.
        within = np.arange(taken.sum()) - np.repeat(np.cumsum(taken) - taken, taken)
        return statistic(rows[np.repeat(starts[drawn], taken) + within])

    draws = group_draws(n_groups, n_resamples, seed)
    return percentiles([score(drawn) for drawn in draws], confidence)


def bootstrap_totals(
    statistic: Callable[[Floats], Floats],
    contributions: ArrayLike,
    groups: ArrayLike,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Interval of a statistic that is a function of sums over rows, at a fraction of the cost.

    Draws the same resamples as `bootstrap_interval`, but adds up per-group sums
    instead of gathering rows.

    Parameters
    ----------
    statistic
        Takes totals, shape (n_resamples, s), and returns the scores, shape (n_resamples,).
    contributions
        What each row adds to each of the s totals, shape (n, s).
    groups
        Unit of resampling of each row, shape (n,).
    n_resamples
        Number of resamples.
    seed
        Same seed and groups, same resamples.
    confidence
        Share of the resamples inside the interval.

    Returns
    -------
    tuple of float
        Both ends of the equal-tailed percentile interval.

    Raises
    ------
    ValueError
        For fewer than two groups, or a statistic that is not finite on a resample.
    """
    codes, n_groups = group_codes(groups)
    rows = np.asarray(contributions, dtype=np.float64)
    sums = np.stack([np.bincount(codes, column, n_groups) for column in rows.T], axis=1)
    totals = [
        np.bincount(drawn, minlength=n_groups) @ sums
        for drawn in group_draws(n_groups, n_resamples, seed)
    ]
    return percentiles(statistic(np.asarray(totals)), confidence)


def bootstrap_pearson(
    x: ArrayLike,
    y: ArrayLike,
    groups: ArrayLike,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Interval of Pearson's correlation of `x` and `y` from per-group sums.

    Raises
    ------
    ValueError
        Where the correlation is undefined: `x` or `y` does not vary.
    """
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    # Centred first: sums of squares of far-off numbers would cancel badly.
    a, b = a - a.mean(), b - b.mean()
    contributions = np.stack([np.ones_like(a), a, b, a * a, b * b, a * b], axis=1)
    return bootstrap_totals(
        _pearson,
        contributions,
        groups,
        n_resamples=n_resamples,
        seed=seed,
        confidence=confidence,
    )


def _pearson(totals: Floats) -> Floats:
    n, a, b, aa, bb, ab = totals.T
    spread = (aa - a * a / n) * (bb - b * b / n)
    # Rounding leaves a constant with a spread that is tiny, or less than none.
    defined = spread > 1e-20 * np.maximum(aa * bb, np.finfo(np.float64).tiny)
    covariance = ab - a * b / n
    return np.where(defined, covariance / np.sqrt(np.where(defined, spread, 1.0)), np.nan)
