"""Scores of stored predictions, for any weights of their genes, so that every interval is paired.

A resample draws genes with replacement; a pair counts as often as both of its genes together
(the pigeonhole bootstrap), because pairs that share a gene are not independent. Scores of two
representations under the same draws give the interval of their difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.benchmarks.intervals import N_RESAMPLES, Floats, group_codes, group_draws
from genept.benchmarks.scores import CLASSIFICATION_METRICS

ORDER: Final = ("fold", "unit", "partner")
"""Rows of predictions in this order are the same rows for every representation of a task."""

Weighted = Callable[[Floats], float]


@dataclass(frozen=True)
class Resampled:
    """A score, and what it was in each resample."""

    value: float
    draws: Floats

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % percentile interval."""
        low, high = np.quantile(self.draws, [0.025, 0.975])
        return float(low), float(high)


def folded_auroc(truth: NDArray[np.bool_], score: Floats, fold: NDArray[np.int64]) -> Weighted:
    """Area under the ROC curve of each fold, averaged over folds; ties count half.

    Sorts once: a resample only changes how often each row counts. A fold that a resample
    leaves without one of the classes is left out of that resample's average.
    """
    order = np.lexsort((score, fold))
    truth, score, fold = truth[order], score[order], fold[order]
    new_fold = np.diff(fold, prepend=fold[0] - 1) != 0
    runs = np.flatnonzero(new_fold | (np.diff(score, prepend=np.nan) != 0))
    starts = np.flatnonzero(new_fold)
    sizes = np.diff(np.append(starts, len(fold)))
    run_of = np.searchsorted(runs, np.arange(len(fold)), side="right") - 1
    begin, end = runs[run_of], np.append(runs[1:], len(fold))[run_of]

    def weighted(weights: Floats) -> float:
        counted = weights[order]
        positive, negative = counted * truth, counted * ~truth
        below = np.concatenate([[0.0], np.cumsum(negative)])
        beaten = (below[begin] + below[end]) / 2 - np.repeat(below[starts], sizes)
        won = np.add.reduceat(positive * beaten, starts)
        possible = np.add.reduceat(positive, starts) * np.add.reduceat(negative, starts)
        defined = possible > 0
        return float((won[defined] / possible[defined]).mean()) if defined.any() else float("nan")

    return weighted


def _accuracy(rows: pl.DataFrame) -> Weighted:
    hit = (rows["truth"] == rows["predicted"]).to_numpy()
    return lambda weights: float((weights * hit).sum() / weights.sum())


def _balanced_accuracy(rows: pl.DataFrame) -> Weighted:
    hit = (rows["truth"] == rows["predicted"]).to_numpy()
    names, codes = np.unique(rows["truth"].to_numpy().astype(str), return_inverse=True)

    def weighted(weights: Floats) -> float:
        seen = np.bincount(codes, weights, len(names))
        hits = np.bincount(codes, weights * hit, len(names))
        return float((hits[seen > 0] / seen[seen > 0]).mean())

    return weighted


def _auroc(rows: pl.DataFrame) -> Weighted:
    truth, score = (rows["truth"] == "1").to_numpy(), rows["score"].to_numpy()
    return folded_auroc(truth, score, rows["fold"].to_numpy())


def _mean(rows: pl.DataFrame) -> Weighted:
    score = rows["score"].to_numpy()
    return lambda weights: float((weights * score).sum() / weights.sum())


METRICS: Final[Mapping[str, Callable[[pl.DataFrame], Weighted]]] = {
    "auroc": _auroc,
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "mean_auroc": _mean,
}
"""By name: from predictions, in `ORDER`, to a score for any weights of the rows."""


def resampled(
    predictions: pl.DataFrame,
    metric: str,
    *,
    units: Sequence[str] = (),
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> Resampled:
    """Score predictions, whole and in every resample of their genes.

    Parameters
    ----------
    predictions
        Rows of table `benchmark_predictions` of one task, representation, model and split.
    units
        What is drawn from: all that anybody was scored on, so that differences are paired even
        where a control was held on fewer. By default those of the predictions.

    Raises
    ------
    ValueError
        If the score is undefined on the whole, or on any resample.
    """
    rows = predictions.sort(ORDER)
    statistic = METRICS[metric](rows)
    is_pair = bool((rows["partner"] != "").any())
    names = pl.concat([rows["unit"], rows["partner"]]) if is_pair else rows["unit"]
    scored = names.to_numpy().astype(str)
    everybody = np.unique(np.concatenate([scored, np.asarray(units, str)]))
    if len(everybody) < 2:
        raise ValueError(f"an interval needs at least two units to resample, got {len(everybody)}")
    codes = np.searchsorted(everybody, scored)
    first, second = codes[: rows.height], codes[rows.height :]
    draws = []
    for drawn in group_draws(len(everybody), n_resamples, seed):
        counts = np.bincount(drawn, minlength=len(everybody)).astype(np.float64)
        draws.append(statistic(counts[first] * counts[second] if is_pair else counts[first]))
    value = statistic(np.ones(rows.height))
    if not np.isfinite([value, *draws]).all():
        raise ValueError(
            f"{metric} is undefined on {np.isnan(draws).sum()} of {n_resamples} resamples: score "
            "more genes of each class"
        )
    return Resampled(value, np.asarray(draws))


def resampled_labels(
    truth: NDArray[np.str_],
    predicted: NDArray[np.str_],
    units: NDArray[np.str_],
    metrics: Sequence[str],
    *,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> dict[str, Resampled]:
    """Score predicted labels by several metrics, whole and in every resample of their units.

    Parameters
    ----------
    units
        The honest unit of each row: the cell, or the donor that was left out.
    metrics
        Names from `scores.CLASSIFICATION_METRICS`.

    Raises
    ------
    ValueError
        For fewer than two units.
    """
    names, codes = np.unique(np.concatenate([truth, predicted]), return_inverse=True)
    k = len(names)
    cells = codes[: len(truth)] * k + codes[len(truth) :]
    unit_of, n_units = group_codes(units)

    def confusion(counts: Floats) -> NDArray[np.intp]:
        table = np.bincount(cells, weights=counts[unit_of], minlength=k * k)
        return np.rint(table).astype(np.intp).reshape(k, k)

    drawn = [
        confusion(np.bincount(units_drawn, minlength=n_units).astype(np.float64))
        for units_drawn in group_draws(n_units, n_resamples, seed)
    ]
    whole = confusion(np.ones(n_units))
    return {
        metric: Resampled(
            CLASSIFICATION_METRICS[metric](whole),
            np.array([CLASSIFICATION_METRICS[metric](one) for one in drawn]),
        )
        for metric in metrics
    }
