"""Diagnosis of bulk samples as published tables: predictions, and how good they are.

What is published are predictions by models that never saw the sample's group. For
research, not for diagnosing people. The training itself is in `genept.models.diagnosis.retraining`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import numpy as np
import polars as pl

from genept.benchmarks.metrics.scores import classification_scores
from genept.embeddings.representations import EXPRESSION
from genept.models.diagnosis.heads import LINEAR, Contender
from genept.models.diagnosis.retraining import METRICS, Retrained, interval_of
from genept.models.diagnosis.selection import N_FOLDS
from genept.models.evidence import ABSTAIN_BELOW, Interval
from genept.models.splits.folds import ANY, FrozenFolds, Regime

SELECTED: Final = "selected"
MAJORITY_CLASS: Final = "majority-class"
PERMUTED_LABELS: Final = "permuted-labels"


def diagnosis_predictions(
    retrained: Retrained, collection_id: str, *, model: str, model_version: str
) -> pl.DataFrame:
    """Rows of table ``diagnosis_predictions``: each sample by a model that did not see its group.

    Training samples are predicted out of fold, by nested cross-validation; held-out ones, in
    the fold after the last, by the final model.
    """
    frames = []
    for found in (retrained.evidence.out_of_fold, retrained.evidence.holdout):
        probability = found.shares.max(axis=1)
        frames.append(
            pl.DataFrame(
                {
                    "model": model,
                    "model_version": model_version,
                    "representation": SELECTED,
                    "collection_id": collection_id,
                    "observation_id": list(found.ids),
                    "fold": list(found.folds or [N_FOLDS] * len(found.ids)),
                    "label": list(found.labels),
                    "prediction": found.predicted,
                    "probability": probability,
                    "abstained": probability < ABSTAIN_BELOW,
                }
            )
        )
    return pl.concat(frames).sort("observation_id")


def diagnosis_evaluations(
    retrained: Retrained,
    cohort: str,
    *,
    model: str,
    model_version: str,
    controls: Collection[str],
    seed: int,
) -> pl.DataFrame:
    """Rows of table ``model_evaluations``, with intervals over whole groups.

    ``selected`` is what nested cross-validation picks, fold by fold; every contender stands
    beside it. Metrics of the final model on the holdout begin with ``holdout_``.
    """
    seen, nested = retrained.view.rows, retrained.nested
    split = f"grouped-stratified-{N_FOLDS}-fold-seed-{seed}"
    rows: list[dict[str, Any]] = []

    def add(name: str, metric: str, found: Interval, *, on: str = split) -> None:
        rows.append(
            {
                "model": model,
                "model_version": model_version,
                "representation": name,
                "cohort": cohort,
                "metric": metric,
                "split": on,
                "value": found.value,
                "ci_low": found.low,
                "ci_high": found.high,
                "n": found.n,
                "is_control": name in {EXPRESSION, MAJORITY_CLASS, PERMUTED_LABELS}
                or name.partition(", ")[0] in controls,  # whatever head reads them
            }
        )

    predicted = {
        SELECTED: (seen.labels, retrained.evidence.out_of_fold.predicted),
        PERMUTED_LABELS: (nested.permuted_labels, nested.permuted),
        MAJORITY_CLASS: (seen.labels, _majority_of_others(retrained)),
        **{_name(one): (seen.labels, found) for one, found in nested.predictions.items()},
    }
    for name, (truth, found) in predicted.items():
        scores = classification_scores(truth, found, seen.groups, METRICS, seed=seed)
        for metric, score in scores.items():
            add(name, metric, interval_of(score))
    held_out = f"holdout-{retrained.holdout.sha256[:12]}"
    for metric, interval in retrained.evidence.scores.items():
        add(SELECTED, f"holdout_{metric}", interval, on=held_out)
    if retrained.evidence.embedding_gain is not None:
        add(SELECTED, "embedding_gain", retrained.evidence.embedding_gain)
    return pl.DataFrame(rows, schema_overrides={"ci_low": pl.Float64, "ci_high": pl.Float64})


def diagnosis_folds(retrained: Retrained, collection_id: str, *, model: str) -> pl.DataFrame:
    """Rows of table ``model_folds``; the holdout is the fold after the last."""
    out = retrained.evidence.holdout
    seen = retrained.view.rows
    ids = np.concatenate([seen.ids, np.asarray(out.ids, dtype=np.str_)])
    frozen = FrozenFolds(
        Regime.GROUPED,
        ids,
        np.full(len(ids), ANY),
        np.concatenate([seen.groups, np.asarray(out.groups, dtype=np.str_)]),
        np.concatenate([retrained.nested.folds, np.full(len(out.ids), N_FOLDS)]),
    )
    return frozen.table(model, collection_id, holdout=retrained.holdout)


def _name(contender: Contender) -> str:
    """The linear head goes by the representation alone; it is the one that all are read by."""
    return contender.representation if contender.head == LINEAR else contender.name


def _majority_of_others(retrained: Retrained) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    labels, folds = retrained.view.rows.labels, retrained.nested.folds
    predicted = np.empty_like(labels)
    for fold in np.unique(folds):
        names, counts = np.unique(labels[folds != fold], return_counts=True)
        predicted[folds == fold] = names[counts.argmax()]
    return predicted
