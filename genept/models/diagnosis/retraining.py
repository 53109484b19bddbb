"""One retraining of a diagnosis model: hold out, choose, fit, and measure the evidence.

Works on rows in memory; what is read from the lake and kept is in
`genept.models.diagnosis.diagnosis_training`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from genept.benchmarks.metrics import Score, classification_scores
from genept.embeddings import EXPRESSION
from genept.models.diagnosis.heads import (
    Calibration,
    Contender,
    DiagnosisModel,
    Floats,
    fit_model,
    probe_bytes,
    probe_difference,
)
from genept.models.diagnosis.selection import NestedResult, nested_selection
from genept.models.domain import fit_domain
from genept.models.evidence import Interval, ModelEvidence, Predictions, paired_difference
from genept.models.splits import (
    Holdout,
    Rows,
    TrainingView,
    cut_duplicates,
    held_apart,
    label_like_features,
    planted_labels,
)
from genept.models.stored_models import dump_pipeline, load_pipeline

METRICS = ("balanced_accuracy", "macro_f1", "accuracy")
"""Metrics of `classification_scores`; contenders are compared by the first."""

N_PROBES = 32
"""Samples of the probe set."""

HELD_OUT = -1


@dataclass(frozen=True)
class Retrained:
    """Results of a retraining.

    Parameters
    ----------
    rows
        All samples, with their published labels and connected groups.
    holdout
        The held-out samples.
    view
        What training read.
    nested
        Result of nested cross-validation on the view.
    fitted
        The model that was chosen, trained on the whole view.
    pipeline, probe, domain
        Files of the model: its Pipeline, its probe set, the domain of its training samples.
    evidence
        What the gate evaluates.
    """

    rows: Rows
    holdout: Holdout
    view: TrainingView
    nested: NestedResult
    fitted: DiagnosisModel
    pipeline: bytes
    probe: bytes
    domain: bytes
    evidence: ModelEvidence


def retrain(
    rows: Rows,
    holdout: Holdout,
    contenders: Sequence[Contender],
    *,
    beside: Sequence[str] = (),
    seed: int,
) -> Retrained:
    """Train a model on all but the holdout, and measure it on what it did not see.

    Parameters
    ----------
    rows
        Samples with their connected groups.
    holdout
        The held-out samples.
    contenders
        What to choose among, the simplest first.
    beside
        Representations that are scored but not chosen from.
    seed
        Of sentinels, folds, fits, permutations and resamples.

    Returns
    -------
    Retrained
        The model, its files, and the evidence.

    Raises
    ------
    HoldoutReadError
        If a group has rows on both sides of the holdout.
    """
    planted, sentinel = planted_labels(rows, holdout, seed=seed)
    view, _ = held_apart(planted, holdout)
    nested = nested_selection(view, contenders, beside=beside, seed=seed)
    chosen = nested.chosen
    seen = view.rows
    fit = (chosen.contender, seen.features)
    final = fit_model(*fit, seen.labels, chosen.calibration, seed)
    again = fit_model(*fit, seen.labels, chosen.calibration, seed)
    permuted = np.random.default_rng(seed).permutation(seen.labels)
    taught_nothing = fit_model(*fit, permuted, Calibration(), seed)
    out = rows.take(holdout.contains(rows.ids))
    pipeline = dump_pipeline(final.pipeline)
    read = chosen.contender.representation
    domain = fit_domain(seen.features[read], out.features[read], seed=seed).body()
    probe = probe_bytes(final, seen.features[read][:N_PROBES])
    reloaded = DiagnosisModel(
        final.contender,
        load_pipeline(pipeline, sha256(pipeline).hexdigest(), where="the model just stored"),
        final.classes,
        final.calibration,
    )
    random_labels = planted.labels[sentinel]
    of_sentinels = _predicted(final, rows.take(sentinel))
    suspicious = {
        name: label_like_features(seen.features[name], seen.labels) for name in seen.features
    }
    evidence = ModelEvidence(
        out_of_fold=predictions_of(seen, nested.classes, nested.probabilities, nested.folds),
        holdout=predictions_of(out, final.classes, final.probabilities(out.features)),
        baselines={
            "majority-class": tuple([_majority(seen.labels)] * len(out.ids)),
            "permuted-labels": tuple(_predicted(taught_nothing, out).tolist()),
        },
        n_features_checked=sum(matrix.shape[1] for matrix in seen.features.values()),
        label_like_features=tuple(
            f"{name} #{column}" for name, columns in suspicious.items() for column in columns
        ),
        cut_duplicates=_cut(rows, holdout, nested),
        sentinels_right=int((of_sentinels == random_labels).sum()),
        n_sentinels=int(sentinel.sum()),
        permuted=_scores(nested.permuted_labels, nested.permuted, seen.groups, seed)[METRICS[0]],
        refit_difference=probe_difference(again, load(probe)),
        reload_difference=probe_difference(reloaded, load(probe)),
        embedding_gain=embedding_gain(nested, seen, seed),
        scores=_scores(out.labels, _predicted(final, out), out.groups, seed, METRICS),
        contenders={
            contender.name: _scores(seen.labels, predicted, seen.groups, seed)[METRICS[0]]
            for contender, predicted in nested.predictions.items()
        },
    )
    return Retrained(rows, holdout, view, nested, final, pipeline, probe, domain, evidence)


def embedding_gain(nested: NestedResult, seen: Rows, seed: int) -> Interval | None:
    """What the embedding adds: chosen among all, less chosen among what reads expression alone.

    Both choices are made inside the folds, so that neither is biased. None if there was no choice.
    """
    representations = {contender.representation for contender in nested.contenders}
    if nested.without_embedding is None or representations == {EXPRESSION}:
        return None
    chosen = np.asarray(nested.classes)[nested.probabilities.argmax(axis=1)]
    return paired_difference(
        seen.labels,
        chosen,
        nested.without_embedding,
        seen.groups.tolist(),
        metric="balanced_accuracy",
        seed=seed,
    )


def predictions_of(
    rows: Rows, classes: tuple[str, ...], shares: Floats, folds: NDArray[np.int64] | None = None
) -> Predictions:
    """Probabilities of these rows as a document.

    Parameters
    ----------
    rows
        The samples.
    classes
        In the order of the columns of `shares`.
    shares
        Calibrated probabilities, samples × classes.
    folds
        Fold of each sample, shape (n,); None for a holdout.

    Returns
    -------
    Predictions
        The document, samples in the order of `rows`.
    """
    return Predictions(
        ids=tuple(rows.ids.tolist()),
        groups=tuple(rows.groups.tolist()),
        cohorts=tuple(rows.cohorts.tolist()),
        labels=tuple(rows.labels.tolist()),
        classes=classes,
        probabilities=tuple(tuple(row) for row in shares.tolist()),
        folds=None if folds is None else tuple(folds.tolist()),
    )


def interval_of(score: Score) -> Interval:
    """A score as it is stored in a document.

    Parameters
    ----------
    score
        The score with its bootstrap interval.

    Returns
    -------
    Interval
        The same numbers.
    """
    return Interval(value=score.value, low=score.ci_low, high=score.ci_high, n=score.n)


def _scores(
    truth: NDArray[np.str_],
    predicted: NDArray[np.str_],
    groups: NDArray[np.str_],
    seed: int,
    metrics: Sequence[str] = METRICS[:1],
) -> dict[str, Interval]:
    scores: Mapping[str, Score] = classification_scores(
        truth, predicted, groups, metrics, seed=seed
    )
    return {name: interval_of(score) for name, score in scores.items()}


def _predicted(model: DiagnosisModel, rows: Rows) -> NDArray[np.str_]:
    likeliest: NDArray[np.str_] = np.asarray(model.classes)[
        model.probabilities(rows.features).argmax(axis=1)
    ]
    return likeliest


def _cut(rows: Rows, holdout: Holdout, nested: NestedResult) -> tuple[str, ...]:
    profiles = rows.features.get(EXPRESSION)
    if profiles is None:
        return ()
    side = np.full(len(rows.ids), HELD_OUT)
    side[~holdout.contains(rows.ids)] = nested.folds
    return cut_duplicates(rows.ids, profiles, side)


def _majority(labels: NDArray[np.str_]) -> str:
    names, counts = np.unique(labels, return_counts=True)
    return str(names[counts.argmax()])
