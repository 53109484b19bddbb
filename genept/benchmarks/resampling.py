"""Scores of stored predictions under resampling of their genes, and paired differences.

Representations of a task share the resamples. Differences are corrected over all tasks in
`genept.benchmarks.runs.leaderboard`. Other intervals are in `genept.benchmarks.scores`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from genept.benchmarks.influence import confusion_influence, exchange_p, row_influence
from genept.benchmarks.scores import CLASSIFICATION_METRICS as OF_LABELS
from genept.benchmarks.scores import N_RESAMPLES, Floats, Indices, Score, group_codes, group_draws

SPARSE: Final = "tf-idf"
"""Begins the name of a control of the texts of one recipe, which the name ends with."""

FUSED: Final = "late-fusion/all"
"""Name of the late fusion of all representations of a task."""

ORDER: Final = ("fold", "unit", "partner")
"""Rows of predictions in this order are the same rows for every representation of a task."""

Weighted = Callable[[Floats], float]
Labels = NDArray[np.str_]


@dataclass(frozen=True)
class Resampled:
    """A score, and what it was in each resample.

    Parameters
    ----------
    value, draws, by_unit
        The score of all rows; that in each resample, shape (n_resamples,); what each unit adds to
        it, shape (n_units,), for p values of differences.
    """

    value: float
    draws: Floats
    by_unit: Floats = field(default_factory=lambda: np.empty(0))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % percentile interval."""
        low, high = np.quantile(self.draws, [0.025, 0.975])
        return float(low), float(high)

    def score(self, n: int) -> Score:
        """The score of `n` rows with its interval."""
        return Score(self.value, *self.interval, n)


def folded_auroc(truth: NDArray[np.bool_], score: Floats, fold: NDArray[np.int64]) -> Weighted:
    """Area under the ROC curve of each fold, averaged over folds; ties count half.

    Sorts once: a resample only changes how often each row counts. A fold that a resample
    leaves without one of the classes is left out of that resample's average.

    Returns
    -------
    Weighted
        Function of how often each row counts, shape (n,); NaN if no fold has both classes.
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


def _mean(values: NDArray[Any]) -> Weighted:
    return lambda weights: float((weights * values).sum() / weights.sum())


def _hits(rows: pl.DataFrame) -> NDArray[np.bool_]:
    return (rows["truth"] == rows["predicted"]).to_numpy()


def _balanced_accuracy(rows: pl.DataFrame) -> Weighted:
    hit = _hits(rows)
    names, codes = np.unique(rows["truth"].to_numpy().astype(str), return_inverse=True)

    def weighted(weights: Floats) -> float:
        seen = np.bincount(codes, weights, len(names))
        hits = np.bincount(codes, weights * hit, len(names))
        return float((hits[seen > 0] / seen[seen > 0]).mean())

    return weighted


def _auroc(rows: pl.DataFrame) -> Weighted:
    truth, score = (rows["truth"] == "1").to_numpy(), rows["score"].to_numpy()
    return folded_auroc(truth, score, rows["fold"].to_numpy())


METRICS: Final[Mapping[str, Callable[[pl.DataFrame], Weighted]]] = {
    "auroc": _auroc,
    "accuracy": lambda rows: _mean(_hits(rows)),
    "balanced_accuracy": _balanced_accuracy,
    "mean_auroc": lambda rows: _mean(rows["score"].to_numpy()),
}
"""Metrics by name: from predictions, in `ORDER`, to a score for any weights of the rows."""


def resampled(predictions: pl.DataFrame, metric: str, *, units: Sequence[str] = ()) -> Resampled:
    """Score predictions, whole and in every resample of their genes.

    Parameters
    ----------
    predictions
        Rows of table `benchmark_predictions` of one task, representation, model and split.
    metric
        Name from `METRICS`.
    units
        Units to resample: those of all representations, so that differences are paired even where
        a control was scored on fewer. By default those of the predictions.

    Raises
    ------
    ValueError
        For fewer than two units, or a score that is undefined on the whole or on a resample.
    """
    rows = predictions.sort(ORDER)
    statistic = METRICS[metric](rows)
    is_pair = bool((rows["partner"] != "").any())
    names = pl.concat([rows["unit"], rows["partner"]]) if is_pair else rows["unit"]
    scored = names.to_numpy().astype(str)
    all_units = np.unique(np.concatenate([scored, np.asarray(units, str)]))
    if len(all_units) < 2:
        raise ValueError(f"an interval needs at least two units to resample, got {len(all_units)}")
    codes = np.searchsorted(all_units, scored)
    first, second = codes[: rows.height], codes[rows.height :]
    draws = []
    for drawn in group_draws(len(all_units), N_RESAMPLES, seed=0):
        counts = np.bincount(drawn, minlength=len(all_units)).astype(np.float64)
        draws.append(statistic(counts[first] * counts[second] if is_pair else counts[first]))
    value = statistic(np.ones(rows.height))
    if not np.isfinite([value, *draws]).all():
        raise ValueError(
            f"{metric} is undefined on {np.isnan(draws).sum()} of {N_RESAMPLES} resamples: score "
            "more genes of each class"
        )
    influence = row_influence(metric, rows)
    by_unit = _summed(influence, first, len(all_units))
    if is_pair:
        by_unit += _summed(influence, second, len(all_units))
    return Resampled(value, np.asarray(draws), by_unit)


def _summed(values: Floats, unit_of: Indices, n_units: int) -> Floats:
    return np.bincount(unit_of, values, n_units).astype(np.float64)


def resampled_labels(
    truth: Labels, predicted: Labels, units: ArrayLike, metrics: Sequence[str], *, seed: int
) -> dict[str, Resampled]:
    """Score predicted labels by several metrics, whole and in every resample of their units.

    A class that is missing from a resample is left out of that resample's average.

    Parameters
    ----------
    truth, predicted
        Published and predicted label of each row, shape (n,).
    units
        Independent unit of each row, such as its cell, patient or donor.
    metrics
        Names from `scores.CLASSIFICATION_METRICS`.
    seed
        Same seed and units, same resamples.

    Returns
    -------
    dict of str to Resampled
        Scores by metric.

    Raises
    ------
    ValueError
        For nothing to score, or fewer than two units.
    """
    if not len(truth) == len(predicted) > 0:
        raise ValueError(f"cannot score {len(predicted)} predictions against {len(truth)} labels")
    names, codes = np.unique(np.concatenate([truth, predicted]), return_inverse=True)
    k = len(names)
    cells = codes[: len(truth)] * k + codes[len(truth) :]
    unit_of, n_units = group_codes(units)

    def confusion(counts: Indices) -> Indices:
        table = np.bincount(cells, weights=counts[unit_of], minlength=k * k)
        return np.rint(table).astype(np.intp).reshape(k, k)

    draws = group_draws(n_units, N_RESAMPLES, seed)
    tables = [confusion(np.bincount(drawn, minlength=n_units)) for drawn in draws]
    whole = confusion(np.ones(n_units, np.intp))
    return {
        metric: Resampled(
            statistic(whole), np.array([statistic(table) for table in tables]),
            _summed(confusion_influence(statistic, whole).ravel()[cells], unit_of, n_units),
        )
        for metric in metrics
        for statistic in [OF_LABELS[metric]]
    }  # fmt: skip


_SCHEMA: Final = {"representation": pl.String, "other": pl.String} | dict.fromkeys(
    ("difference", "ci_low", "ci_high", "p"), pl.Float64
)


def rivals(
    deciding: Mapping[str, Resampled], is_control: Mapping[str, bool]
) -> list[tuple[str, str]]:
    """Pairs to test: all representations that are no controls, and each of them with its controls.

    A control belongs to one representation (`is_own_control`), to all, or to all of its texts
    (`is_common_control`).
    Pairs with different numbers of units are left out. `deciding` and `is_control`: by
    representation, the score that decides, and whether it is a control.
    """
    informed = [name for name in deciding if not is_control[name]]
    pairs = [(a, b) for at, a in enumerate(informed) for b in informed[at + 1 :]]
    for name in informed:
        own = [other for other in deciding if is_own_control(name, other)]
        common = [
            other for other in deciding if is_control[other] and is_common_control(name, other)
        ]
        pairs += [(name, other) for other in (*own, *common)]
    return [(a, b) for a, b in pairs if deciding[a].by_unit.shape == deciding[b].by_unit.shape]


def is_own_control(name: str, other: str) -> bool:
    """Whether `other` is `name` with shuffled genes or permuted labels.

    So are ``name@shuffled`` (before a method, ``:genept-w``) and ``name@permuted-labels``.
    """
    space, colon, method = name.partition(":")
    return other in (f"{space}@shuffled{colon}{method}", f"{name}@permuted-labels")


def is_common_control(name: str, other: str) -> bool:
    """Whether the control `other` is of no single representation, and of no texts but its own."""
    kind, _, recipe = other.partition("/")
    return "@" not in other and (
        kind != SPARSE or recipe == name.partition("/")[2] or name == FUSED
    )


def paired_differences(
    scores: Mapping[str, Resampled], pairs: Sequence[tuple[str, str]]
) -> pl.DataFrame:
    """Difference of each pair of representations that were scored under the same draws.

    Returns
    -------
    pl.DataFrame
        representation, other, difference, ci_low, ci_high, p: two-sided, by exchanging the two
        unit by unit (`influence.exchange_p`).
    """

    def apart(a: Resampled, b: Resampled) -> Resampled:
        return Resampled(a.value - b.value, a.draws - b.draws, a.by_unit - b.by_unit)

    rows = [apart(scores[name], scores[other]) for name, other in pairs]
    sizes, p = np.array([len(row.by_unit) for row in rows]), np.ones(len(rows))
    for size in np.unique(sizes):
        chosen = np.flatnonzero(sizes == size)
        by_unit = np.stack([rows[at].by_unit for at in chosen], axis=1)
        p[chosen] = exchange_p(np.array([rows[at].value for at in chosen]), by_unit)
    table = [
        (*pair, row.value, *row.interval, value)
        for pair, row, value in zip(pairs, rows, p.tolist(), strict=True)
    ]
    return pl.DataFrame(table, schema=_SCHEMA, orient="row")
