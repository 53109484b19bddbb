"""Scores with their confidence intervals, by bootstrap over whole groups.

Groups are donors, patients, cell lines or cells. They are drawn with replacement, and percentiles
of the statistic are the interval. A score that is undefined is refused, so that no table ever
holds a NaN. Scores of stored predictions are in `genept.benchmarks.resampling`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

N_RESAMPLES: Final = 500
CONFIDENCE: Final = 0.95
"""Share of the resamples inside an interval."""


@dataclass(frozen=True)
class Score:
    """A score, the 95 % bootstrap interval around it, and how many rows were scored.

    Parameters
    ----------
    value
        The score.
    ci_low, ci_high
        Both ends of the interval; None for a score without one.
    n
        Number of rows that were scored.
    """

    value: float
    ci_low: float | None
    ci_high: float | None
    n: int


def group_codes(groups: ArrayLike) -> tuple[Indices, int]:
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


def group_draws(n_groups: int, n_resamples: int, seed: int) -> Iterator[Indices]:
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


def percentiles(values: ArrayLike) -> tuple[float, float]:
    """Equal-tailed 95 % percentiles of resampled statistics; refuses undefined ones.

    Parameters
    ----------
    values
        The statistic on each resample, shape (n_resamples,).

    Returns
    -------
    tuple of float
        The lower and the upper percentile.

    Raises
    ------
    ValueError
        If a value is not finite.
    """
    resampled = np.asarray(values, dtype=np.float64)
    if undefined := int((~np.isfinite(resampled)).sum()):
        raise ValueError(
            f"the statistic is undefined in {undefined} of {len(resampled)} resamples; "
            "score more groups, or a statistic that is defined on few"
        )
    low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def bootstrap_interval(
    statistic: Callable[[Indices], float],
    groups: ArrayLike,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int,
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

    def score(drawn: Indices) -> float:
        taken = sizes[drawn]
        # Position within the drawn group: a running count that restarts with every group.
        within = np.arange(taken.sum()) - np.repeat(np.cumsum(taken) - taken, taken)
        return statistic(rows[np.repeat(starts[drawn], taken) + within])

    return percentiles([score(drawn) for drawn in group_draws(n_groups, n_resamples, seed)])


def mean_score(
    values: NDArray[Any], groups: ArrayLike, *, seed: int, n_resamples: int = N_RESAMPLES
) -> Score:
    """Mean of the values with its interval, resampling whole groups of rows.

    Parameters
    ----------
    values
        Shape (n,).
    groups, seed, n_resamples
        As in `bootstrap_interval`.

    Returns
    -------
    Score
        The mean with its interval.
    """
    low, high = bootstrap_interval(
        lambda rows: float(values[rows].mean()), groups, n_resamples=n_resamples, seed=seed
    )
    return Score(float(values.mean()), low, high, len(values))


def bootstrap_totals(
    statistic: Callable[[Floats], Floats], contributions: ArrayLike, groups: ArrayLike, *, seed: int
) -> tuple[float, float]:
    """Interval of a statistic that is a function of sums over rows, at a fraction of the cost.

    Draws the same resamples as `bootstrap_interval`, and raises the same errors, but adds up
    per-group sums instead of gathering rows.

    Parameters
    ----------
    statistic
        Takes totals, shape (n_resamples, s), and returns the scores, shape (n_resamples,).
    contributions
        What each row adds to each of the s totals, shape (n, s).
    groups, seed
        As in `bootstrap_interval`.

    Returns
    -------
    tuple of float
        Both ends of the equal-tailed percentile interval.
    """
    codes, n_groups = group_codes(groups)
    rows = np.asarray(contributions, dtype=np.float64)
    sums = np.stack([np.bincount(codes, column, n_groups) for column in rows.T], axis=1)
    draws = group_draws(n_groups, N_RESAMPLES, seed)
    totals = [np.bincount(drawn, minlength=n_groups) @ sums for drawn in draws]
    return percentiles(statistic(np.asarray(totals)))


def pearson_score(x: ArrayLike, y: ArrayLike, groups: ArrayLike, *, seed: int) -> Score:
    """Pearson's correlation with its interval over whole groups, from per-group sums.

    Parameters
    ----------
    x, y
        Values to correlate, shape (n,).
    groups
        Unit of resampling of each row, shape (n,).
    seed
        Same seed and groups, same resamples.

    Returns
    -------
    Score
        The correlation with its interval.

    Raises
    ------
    ValueError
        For fewer than two groups, or where `x` or `y` does not vary on a resample.
    """
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    # Centred first: sums of squares of far-off numbers would cancel badly.
    a, b = first - first.mean(), second - second.mean()
    sums = np.stack([np.ones_like(a), a, b, a * a, b * b, a * b], axis=1)
    interval = bootstrap_totals(_pearson, sums, groups, seed=seed)
    return Score(float(np.corrcoef(first, second)[0, 1]), *interval, len(first))


def _pearson(totals: Floats) -> Floats:
    n, a, b, aa, bb, ab = totals.T
    spread = (aa - a * a / n) * (bb - b * b / n)
    # Rounding leaves a constant with a spread that is tiny, or less than none.
    defined = spread > 1e-20 * np.maximum(aa * bb, np.finfo(np.float64).tiny)
    covariance = ab - a * b / n
    return np.where(defined, covariance / np.sqrt(np.where(defined, spread, 1.0)), np.nan)


def _rates(confusion: Indices) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1 of the classes that occur in truth or prediction.

    As in scikit-learn with ``zero_division=0``: a class never predicted has precision 0.
    """
    true, predicted, hits = confusion.sum(axis=1), confusion.sum(axis=0), np.diag(confusion)
    seen = true + predicted > 0
    true, predicted, hits = true[seen], predicted[seen], hits[seen]
    precision = hits / np.maximum(predicted, 1)
    recall = hits / np.maximum(true, 1)
    return precision, recall, 2 * hits / (true + predicted)


def _balanced_accuracy(confusion: Indices) -> float:
    true = confusion.sum(axis=1)
    return float((np.diag(confusion)[true > 0] / true[true > 0]).mean())


CLASSIFICATION_METRICS: Final[dict[str, Callable[[Indices], float]]] = {
    "accuracy": lambda confusion: float(np.trace(confusion) / confusion.sum()),
    "balanced_accuracy": _balanced_accuracy,
    "macro_precision": lambda confusion: float(_rates(confusion)[0].mean()),
    "macro_recall": lambda confusion: float(_rates(confusion)[1].mean()),
    "macro_f1": lambda confusion: float(_rates(confusion)[2].mean()),
}
"""Metrics by name, each a function of the confusion table (rows true, columns predicted)."""


def confusions(truth: Sequence[str], predicted: Sequence[str]) -> pl.DataFrame:
    """Published and predicted labels, counted; pairs that do not occur have no row."""
    labels = {"truth": pl.String, "predicted": pl.String}
    rows = pl.DataFrame({"truth": truth, "predicted": predicted}, schema_overrides=labels)
    counted = rows.group_by("truth", "predicted").agg(pl.len().cast(pl.Int64).alias("n"))
    return counted.sort("truth", "predicted")
