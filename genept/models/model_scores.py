"""Scores of models: of labels, of two models on the same samples, and as rows of a table.

Intervals are bootstrapped over whole groups. Metrics of calibration are in
`genept.models.confidence`, scores of drug responses in `genept.models.drug_response.evaluation`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.benchmarks.metrics import (
    CLASSIFICATION_METRICS,
    bootstrap_interval,
    classification_scores,
)
from genept.models.evidence import Interval, Predictions

Labels = NDArray[np.str_]

METRICS: Final = ("balanced_accuracy", "macro_f1", "accuracy")
"""Contenders are compared by the first."""

MAJORITY_CLASS: Final = "majority-class"
PERMUTED_LABELS: Final = "permuted-labels"


def label_scores(
    truth: Labels,
    predicted: Labels,
    groups: Labels,
    seed: int,
    metrics: Sequence[str] = METRICS,
) -> dict[str, Interval]:
    """Scores of predicted labels, with intervals over whole groups."""
    scores = classification_scores(truth, predicted, groups, metrics, seed=seed)
    return {name: Interval.of(score) for name, score in scores.items()}


def compared(truth: Labels, predicted: Labels, groups: Labels, seed: int) -> Interval:
    """The score by which contenders are compared."""
    return label_scores(truth, predicted, groups, seed, METRICS[:1])[METRICS[0]]


def majority(labels: Labels) -> str:
    """The most frequent label."""
    names, counts = np.unique(labels, return_counts=True)
    return str(names[counts.argmax()])


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


def cohort_cells(out: Predictions) -> list[tuple[str, NDArray[np.intp]]]:
    """Rows of every cohort, and of every class in every cohort."""
    cohorts = np.asarray(out.cohorts)
    cells = []
    for cohort in sorted(set(out.cohorts)):
        cells.append((cohort, np.flatnonzero(cohorts == cohort)))
        cells += [
            (f"{cohort}, {label}", np.flatnonzero((cohorts == cohort) & (out.truth == label)))
            for label in sorted(set(out.labels))
        ]
    return cells


def score_rows(
    scores: Mapping[str, Interval], representation: str, *, is_control: bool, prefix: str = ""
) -> list[dict[str, Any]]:
    """Scores as rows of table ``model_evaluations``, without model, cohort and split."""
    return [
        {
            "representation": representation,
            "metric": prefix + metric,
            "value": score.value,
            "ci_low": score.low,
            "ci_high": score.high,
            "n": score.n,
            "is_control": is_control,
        }
        for metric, score in scores.items()
    ]


def evaluation_table(
    rows: list[dict[str, Any]], *, model: str, version: str, cohort: str, split: str
) -> pl.DataFrame:
    """Rows of table ``model_evaluations`` from those of `score_rows`."""
    overrides = {"ci_low": pl.Float64, "ci_high": pl.Float64}
    return pl.DataFrame(rows, schema_overrides=overrides).select(
        pl.lit(model).alias("model"),
        pl.lit(version).alias("model_version"),
        "representation",
        pl.lit(cohort).alias("cohort"),
        "metric",
        pl.lit(split).alias("split"),
        pl.exclude("representation", "metric"),
    )
