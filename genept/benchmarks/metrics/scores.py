"""Scores with their intervals: classification from a confusion table, correlation within strata.

A score that is undefined is refused here, so that no table ever holds a NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genept.benchmarks.metrics.intervals import (
    N_RESAMPLES,
    Floats,
    bootstrap_interval,
    bootstrap_pearson,
    group_codes,
    group_draws,
    percentiles,
)

Indices = NDArray[np.intp]


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


def _rates(confusion: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1 of the classes that occur in truth or prediction.

    As in scikit-learn with ``zero_division=0``: a class never predicted has precision 0.
    """
    true, predicted, hits = confusion.sum(axis=1), confusion.sum(axis=0), np.diag(confusion)
    seen = true + predicted > 0
    true, predicted, hits = true[seen], predicted[seen], hits[seen]
    precision = hits / np.maximum(predicted, 1)
    recall = hits / np.maximum(true, 1)
    return precision, recall, 2 * hits / (true + predicted)


def _balanced_accuracy(confusion: NDArray[np.intp]) -> float:
    true = confusion.sum(axis=1)
    return float((np.diag(confusion)[true > 0] / true[true > 0]).mean())


CLASSIFICATION_METRICS: Final[dict[str, Callable[[NDArray[np.intp]], float]]] = {
    "accuracy": lambda confusion: float(np.trace(confusion) / confusion.sum()),
    "balanced_accuracy": _balanced_accuracy,
    "macro_precision": lambda confusion: float(_rates(confusion)[0].mean()),
    "macro_recall": lambda confusion: float(_rates(confusion)[1].mean()),
    "macro_f1": lambda confusion: float(_rates(confusion)[2].mean()),
}
"""By name, each a function of the confusion table (rows true, columns predicted)."""


def confusion_cells(truth: NDArray[np.str_], predicted: NDArray[np.str_]) -> tuple[Indices, int]:
    """Cell of each row in the confusion table, row by row, and the number of labels."""
    names, codes = np.unique(np.concatenate([truth, predicted]), return_inverse=True)
    return codes[: len(truth)] * len(names) + codes[len(truth) :], len(names)


def classification_scores(
    truth: Sequence[str] | NDArray[np.str_],
    prediction: Sequence[str] | NDArray[np.str_],
    groups: ArrayLike,
    metrics: Sequence[str],
    *,
    seed: int,
    n_resamples: int = N_RESAMPLES,
) -> dict[str, Score]:
    """Score predicted labels, with intervals over whole groups.

    A class that is missing from a resample is left out of that resample's average.

    Parameters
    ----------
    truth, prediction
        Published and predicted label of each row, shape (n,).
    groups
        Unit of resampling of each row, shape (n,).
    metrics
        Names from `CLASSIFICATION_METRICS`.
    seed
        Same seed and groups, same resamples.
    n_resamples
        Number of resamples.

    Returns
    -------
    dict of str to Score
        Scores by metric.

    Raises
    ------
    ValueError
        For nothing to score, or fewer than two groups.
    """
    true, predicted = np.asarray(truth), np.asarray(prediction)
    if not len(true) == len(predicted) > 0:
        raise ValueError(f"cannot score {len(predicted)} predictions against {len(true)} labels")
    cells, k = confusion_cells(true, predicted)

    def score(metric: str) -> Score:
        def of(rows: Indices) -> float:
            confusion = np.bincount(cells[rows], minlength=k * k).reshape(k, k)
            return CLASSIFICATION_METRICS[metric](confusion)

        low, high = bootstrap_interval(of, groups, n_resamples=n_resamples, seed=seed)
        return Score(of(np.arange(len(cells))), low, high, len(cells))

    return {metric: score(metric) for metric in metrics}


def pearson_score(
    x: ArrayLike, y: ArrayLike, groups: ArrayLike, *, seed: int, n_resamples: int = N_RESAMPLES
) -> Score:
    """Pearson's correlation with its interval over whole groups.

    Parameters
    ----------
    x, y
        Values to correlate, shape (n,).
    groups
        Unit of resampling of each row, shape (n,).
    seed
        Same seed and groups, same resamples.
    n_resamples
        Number of resamples.

    Returns
    -------
    Score
        The correlation with its interval.

    Raises
    ------
    ValueError
        For fewer than two groups, or where `x` or `y` does not vary on a resample.
    """
    low, high = bootstrap_pearson(x, y, groups, n_resamples=n_resamples, seed=seed)
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    return Score(float(np.corrcoef(a, b)[0, 1]), low, high, len(a))


class StratifiedSpearman:
    """Spearman's correlation of `x` and `y` within each stratum, for any weights of the rows.

    Sorts once; a resample of lines then only changes how often each row counts,
    so that its exact mid-ranks are differences of one running sum.

    Parameters
    ----------
    x, y
        Shape (n,).
    strata
        What each row belongs to, such as its drug, shape (n,).
    """

    def __init__(self, x: ArrayLike, y: ArrayLike, strata: ArrayLike) -> None:
        self.strata, codes = np.unique(np.asarray(strata), return_inverse=True)
        self.rows: Indices = np.argsort(codes, kind="stable")
        self._codes = codes[self.rows]
        self._starts = np.flatnonzero(np.diff(self._codes, prepend=-1))
        self._sizes = np.diff(self._starts, append=len(codes))
        self._x = self._ranking(np.asarray(x, dtype=np.float64)[self.rows])
        self._y = self._ranking(np.asarray(y, dtype=np.float64)[self.rows])

    def _ranking(self, values: Floats) -> tuple[Indices, Indices, Indices]:
        """Rows in ascending order, and for each row where its run of ties begins and ends."""
        order = np.lexsort((values, self._codes))
        run_starts = np.diff(values[order], prepend=np.nan) != 0
        run_starts[self._starts] = True
        begins = np.flatnonzero(run_starts)
        ends = np.append(begins[1:], len(order))
        run = np.cumsum(run_starts) - 1
        begin, end = np.empty_like(order), np.empty_like(order)
        begin[order], end[order] = begins[run], ends[run]
        return order, begin, end

    def _centred_ranks(self, ranking: tuple[Indices, Indices, Indices], weights: Floats) -> Floats:
        order, begin, end = ranking
        running = np.concatenate([[0.0], np.cumsum(weights[order])])
        ranks = running[begin] + running[end]
        totals = np.maximum(np.add.reduceat(weights, self._starts), 1)
        means = np.add.reduceat(weights * ranks, self._starts) / totals
        centred: Floats = ranks - np.repeat(means, self._sizes)
        return centred

    def correlations(self, weights: Floats) -> Floats:
        """Correlation per stratum, in the order of `strata`; NaN where it is undefined.

        Parameters
        ----------
        weights
            How often each row counts, shape (n,), in the order in which rows were given.
        """
        weights = weights[self.rows]
        a = self._centred_ranks(self._x, weights)
        b = self._centred_ranks(self._y, weights)
        weighted = weights * a
        ab = np.add.reduceat(weighted * b, self._starts)
        spread = np.add.reduceat(weighted * a, self._starts) * np.add.reduceat(
            weights * b * b, self._starts
        )
        # Ranks are halves of integers: a spread this small is a constant, rounded.
        defined = spread > 1e-9
        return np.where(defined, ab / np.sqrt(np.where(defined, spread, 1.0)), np.nan)


def median_spearman_score(
    x: ArrayLike,
    y: ArrayLike,
    strata: ArrayLike,
    groups: ArrayLike,
    *,
    seed: int,
    n_resamples: int = N_RESAMPLES,
) -> Score:
    """Median over strata of Spearman's correlation, with its interval over whole groups.

    A stratum that a resample leaves without two different values is left out of
    that resample's median.

    Parameters
    ----------
    x, y
        Values to correlate, shape (n,).
    strata
        What each row belongs to, such as its drug, shape (n,).
    groups
        Unit of resampling of each row, such as its cell line, shape (n,).
    seed
        Same seed and groups, same resamples.
    n_resamples
        Number of resamples.

    Returns
    -------
    Score
        The median with its interval; `n` is the number of rows.

    Raises
    ------
    ValueError
        Where the correlation of a whole stratum is undefined; for fewer than two groups.
    """
    spearman = StratifiedSpearman(x, y, strata)
    codes, n_groups = group_codes(groups)
    observed = spearman.correlations(np.ones(len(codes)))
    if np.isnan(observed).any():
        undefined = spearman.strata[np.isnan(observed)]
        raise ValueError(
            f"Spearman's correlation is undefined in {len(undefined)} strata, such as "
            f"{undefined[0]!s}: the values do not vary; leave them out and count them"
        )
    medians = [
        np.nanmedian(
            spearman.correlations(np.bincount(drawn, minlength=n_groups)[codes].astype(np.float64))
        )
        for drawn in group_draws(n_groups, n_resamples, seed)
    ]
    low, high = percentiles(medians, 0.95)
    return Score(float(np.median(observed)), low, high, len(codes))
