"""One retraining of a diagnosis model: hold out, choose, fit, and measure the evidence.

Works on rows in memory; what is read from the lake and kept is in
`genept.models.diagnosis.diagnosis_training`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load
from sklearn.pipeline import Pipeline

from genept.embeddings import BOTH, EXPRESSION
from genept.models import heads
from genept.models.confidence import Calibration, Domain, Floats, fit_domain
from genept.models.evidence import (
    MAJORITY_CLASS,
    METRICS,
    PERMUTED_LABELS,
    Interval,
    ModelEvidence,
    Predictions,
    compared,
    label_scores,
    likeliest,
    majority,
    paired_difference,
)
from genept.models.heads import fit_model
from genept.models.holdout import Holdout, Rows, TrainingView, held_apart, planted_labels
from genept.models.selection import PLAIN, NestedResult, nested_selection
from genept.models.splits import Folds, cut_duplicates, label_like_features
from genept.models.stored_models import ModelFiles, dump_pipeline, load_pipeline

N_PROBES = 32
"""Samples of the probe set."""

HELD_OUT = -1
Matrix = NDArray[np.float32]


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
    fitted, files
        The model that was chosen, trained on the whole view, and its files.
    evidence
        What the gate evaluates.
    """

    rows: Rows
    holdout: Holdout
    view: TrainingView
    nested: NestedResult
    fitted: heads.DiagnosisModel
    files: ModelFiles
    evidence: ModelEvidence


def retrain(
    rows: Rows,
    holdout: Holdout,
    contenders: Sequence[heads.Contender],
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
    chosen, seen = nested.chosen, view.rows
    fit = (chosen.contender, seen.features)
    final = fit_model(*fit, seen.labels, chosen.calibration, seed)
    again = fit_model(*fit, seen.labels, chosen.calibration, seed)
    permuted = np.random.default_rng(seed).permutation(seen.labels)
    taught_nothing = fit_model(*fit, permuted, Calibration(), seed)
    out = rows.take(holdout.contains(rows.ids))
    trained, unseen = (each.features[chosen.contender.representation] for each in (seen, out))
    domain = fit_domain(trained, unseen, seed=seed)
    files = model_files(final, again.pipeline, trained[:N_PROBES], domain)
    evidence = ModelEvidence(
        out_of_fold=predictions_of(seen, nested.classes, nested.probabilities, nested.folds),
        holdout=predictions_of(out, final.classes, final.probabilities(out.features)),
        baselines={
            MAJORITY_CLASS: (majority(seen.labels),) * len(out.ids),
            PERMUTED_LABELS: tuple(_predicted(taught_nothing, out).tolist()),
        },
        n_features_checked=sum(matrix.shape[1] for matrix in seen.features.values()),
        label_like_features=tuple(
            f"{name} #{column}"
            for name, matrix in seen.features.items()
            for column in label_like_features(matrix, seen.labels)
        ),
        cut_duplicates=_cut(rows, holdout, nested),
        sentinels_right=int(
            (_predicted(final, rows.take(sentinel)) == planted.labels[sentinel]).sum()
        ),
        n_sentinels=int(sentinel.sum()),
        permuted=compared(nested.permuted_labels, nested.permuted, seen.groups, seed),
        refit_difference=files.refit_difference,
        reload_difference=files.reload_difference,
        embedding_gain=embedding_gain(nested, seen, seed),
        both_less_expression=both_less_expression(nested, seen, seed),
        plain_name=PLAIN.name,
        plain=_plain(nested, seen, out, seed),
        scores=label_scores(out.labels, _predicted(final, out), out.groups, seed),
        contenders={
            contender.name: compared(seen.labels, predicted, seen.groups, seed)
            for contender, predicted in nested.predictions.items()
        },
    )
    return Retrained(rows, holdout, view, nested, final, files, evidence)


def model_files(
    fitted: heads.DiagnosisModel, again: Pipeline, probed: Matrix, domain: Domain
) -> ModelFiles:
    """The files of a model.

    Parameters
    ----------
    fitted, again
        The model, and a Pipeline that was fitted again on the same data.
    probed
        Features of the probe set, samples × features.
    domain
        The domain of the training samples.

    Returns
    -------
    ModelFiles
        The files, and both differences on the probe set.

    Raises
    ------
    ModelRefusedError
        If the Pipeline consists of a type that could not be loaded again.
    """
    pipeline, probe = dump_pipeline(fitted.pipeline), heads.probe_bytes(fitted, probed)
    reloaded = load_pipeline(pipeline, sha256(pipeline).hexdigest(), where="the model just stored")
    refit, reload = (
        heads.probe_difference(replace(fitted, pipeline=other), load(probe))
        for other in (again, reloaded)
    )
    return ModelFiles(pipeline, probe, domain.body(), refit, reload)


def embedding_gain(nested: NestedResult, seen: Rows, seed: int) -> Interval | None:
    """What the embedding adds: chosen among all, less chosen among what reads expression alone.

    Both choices are made inside the folds, so that neither is biased. None if there was no choice.
    """
    representations = {contender.representation for contender in nested.contenders}
    alone = nested.without_embedding
    if alone is None or representations == {EXPRESSION}:
        return None
    chosen = likeliest(nested.classes, nested.probabilities)
    return paired_difference(seen.labels, chosen, alone, seen.groups, metric=METRICS[0], seed=seed)


def both_less_expression(nested: NestedResult, seen: Rows, seed: int) -> dict[str, Interval]:
    """What the embedding adds to expression at the same head, chosen or not, by head."""
    predicted = nested.predictions
    return {
        both.head: paired_difference(
            seen.labels, labels, predicted[alone], seen.groups, metric=METRICS[0], seed=seed
        )
        for both, labels in predicted.items()
        for alone in [heads.Contender(EXPRESSION, both.head)]
        if both.representation == BOTH and alone in predicted
    }


def _plain(nested: NestedResult, seen: Rows, out: Rows, seed: int) -> tuple[str, ...]:
    """Logistic regression on expression, of training rows out of fold, and of the holdout."""
    if PLAIN not in nested.predictions:
        return ()
    fitted = fit_model(PLAIN, seen.features, seen.labels, Calibration(), seed)
    return (*nested.predictions[PLAIN].tolist(), *_predicted(fitted, out).tolist())


def predictions_of(
    rows: Rows, classes: tuple[str, ...], shares: Floats, folds: Folds | None = None
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
    columns = (rows.ids, rows.groups, rows.cohorts, rows.labels)
    ids, groups, cohorts, labels = (tuple(column.tolist()) for column in columns)
    return Predictions(
        ids=ids, groups=groups, cohorts=cohorts, labels=labels, classes=classes,
        probabilities=tuple(tuple(row) for row in shares.tolist()),
        folds=None if folds is None else tuple(folds.tolist()),
    )  # fmt: skip


def _predicted(model: heads.DiagnosisModel, rows: Rows) -> NDArray[np.str_]:
    return likeliest(model.classes, model.probabilities(rows.features))


def _cut(rows: Rows, holdout: Holdout, nested: NestedResult) -> tuple[str, ...]:
    profiles = rows.features.get(EXPRESSION)
    if profiles is None:
        return ()
    side = np.full(len(rows.ids), HELD_OUT)
    side[~holdout.contains(rows.ids)] = nested.folds
    return cut_duplicates(rows.ids, profiles, side, rows.duplicate_from)
