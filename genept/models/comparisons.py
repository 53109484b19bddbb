"""Comparisons that the gate makes: paired differences over whole groups, and calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from genept.benchmarks.intervals import bootstrap_interval
from genept.benchmarks.scores import CLASSIFICATION_METRICS
from genept.models.evidence import Interval

Labels = NDArray[np.str_]
N_BINS = 10


def paired_difference(
    truth: Labels,
    first: Labels,
    second: Labels,
    groups: Sequence[str],
    *,
    metric: str = "macro_f1",
    seed: int = 0,
) -> Interval:
    """How much better `first` predicts than `second`, on the same resamples of whole groups."""
    names, codes = np.unique(np.concatenate([truth, first, second]), return_inverse=True)
    t, a, b = np.split(codes, 3)
    k = len(names)

    def score(of: NDArray[np.intp], rows: NDArray[np.intp]) -> float:
        table = np.bincount(t[rows] * k + of[rows], minlength=k * k).reshape(k, k)
        return CLASSIFICATION_METRICS[metric](table)

    def difference(rows: NDArray[np.intp]) -> float:
        return score(a, rows) - score(b, rows)

    return _interval(difference, groups, seed)


def recall_difference(
    hit: NDArray[np.bool_], before: NDArray[np.bool_], groups: Sequence[str], *, seed: int = 0
) -> Interval:
    """Share of rows got right, less the share that the champion got right."""
    gained = hit.astype(np.float64) - before
    return _interval(lambda rows: float(gained[rows].mean()), groups, seed)


def _interval(
    statistic: Callable[[NDArray[np.intp]], float], groups: Sequence[str], seed: int
) -> Interval:
    low, high = bootstrap_interval(statistic, groups, seed=seed)
    everything = np.arange(len(groups), dtype=np.intp)
    return Interval(value=statistic(everything), low=low, high=high, n=len(groups))


@dataclass(frozen=True)
class Calibration:
    """How far probabilities can be believed.

    Parameters
    ----------
    slope
        Of a logistic regression of being right on the log odds of the top probability.
    ece
        Expected calibration error over ten bins of equal width.
    brier
        Mean squared distance to the truth, over all classes.
    """

    slope: float
    ece: float
    brier: float


def calibration(shares: NDArray[np.float64], truth: NDArray[np.intp]) -> Calibration:
    """Calibration of probabilities, samples × classes, against the column of the truth.

    The slope is 1 where it cannot be told: nothing was wrong, or nothing right.
    """
    top = shares.max(axis=1)
    right = shares.argmax(axis=1) == truth
    bins = np.minimum((top * N_BINS).astype(np.intp), N_BINS - 1)
    gaps = [
        abs(right[bins == one].mean() - top[bins == one].mean()) * (bins == one).mean()
        for one in np.unique(bins)
    ]
    clipped = np.clip(top, 1e-6, 1 - 1e-6)
    log_odds = np.log(clipped / (1 - clipped))[:, None]
    slope = 1.0
    if right.any() and not right.all():
        slope = float(LogisticRegression(C=1e6).fit(log_odds, right).coef_[0, 0])
    own = np.eye(shares.shape[1])[truth]
    return Calibration(slope, float(sum(gaps)), float(((shares - own) ** 2).sum(axis=1).mean()))
