"""Choosing a diagnosis model by nested grouped cross-validation.

The inner folds choose, the outer folds score the choice. The outer predictions of every contender
are kept, to measure what the embedding adds to expression.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score

from genept.embeddings import EXPRESSION
from genept.models.confidence import Calibration, Floats, calibrated, fit_calibration
from genept.models.evidence import (
    METRICS,
    Interval,
    ModelEvidence,
    ModelManifest,
    paired_difference,
)
from genept.models.heads import (
    LINEAR,
    MAX_COMPONENTS,
    Contender,
    class_shares,
    fitted,
    new_head,
    new_preparation,
)
from genept.models.holdout import TrainingView
from genept.models.splits import Folds, grouped_folds

N_FOLDS: Final = 5
N_INNER_FOLDS: Final = 3
PLAIN: Final = Contender(EXPRESSION, LINEAR)
"""The plainest model on expression: what another one must beat."""
MARGIN: Final = -0.01
"""How far a model that is ahead of another may be behind it at the lower bound."""


class Chosen(NamedTuple):
    """A contender, and the calibration of its out-of-fold probabilities."""

    contender: Contender
    calibration: Calibration


@dataclass(frozen=True)
class NestedResult:
    """Result of nested cross-validation, one entry per row of the training view.

    Parameters
    ----------
    probabilities
        Calibrated, of the contender that the inner folds chose: rows × classes.
    predictions
        By contender, its own out-of-fold predictions.
    without_embedding
        Predictions of what the inner folds choose among the contenders that read expression
        alone, if any does.
    permuted
        Out-of-fold predictions of the first contender trained on permuted labels; and these labels.
    chosen
        The contender of the final model, by the outer folds.
    """

    contenders: tuple[Contender, ...]
    classes: tuple[str, ...]
    folds: Folds
    probabilities: Floats
    predictions: Mapping[Contender, NDArray[np.str_]]
    without_embedding: NDArray[np.str_] | None
    permuted: NDArray[np.str_]
    permuted_labels: NDArray[np.str_]
    chosen: Chosen


def nested_selection(
    view: TrainingView, contenders: Sequence[Contender], *, beside: Sequence[str] = (), seed: int
) -> NestedResult:
    """Choose among `contenders`, and score the choice out of fold.

    Parameters
    ----------
    contenders
        The simplest first: of equally good ones the first is chosen. Labels are permuted
        for the first as a control.
    beside
        Further representations, scored by the same heads but not chosen from.
    """
    rows = view.rows
    classes = tuple(str(contender) for contender in np.unique(rows.labels))
    truth = np.searchsorted(classes, rows.labels)
    folds = grouped_folds(rows.groups, rows.labels, N_FOLDS, seed)
    heads = dict.fromkeys(contender.head for contender in contenders)
    scored = [*contenders, *(Contender(name, head) for name in beside for head in heads)]
    alone = [contender for contender in contenders if contender.representation == EXPRESSION]
    permuted = np.random.default_rng(seed).permutation(rows.labels)
    fold_shares = partial(_fold_shares, view, classes, seed)
    outer = {contender: np.empty((len(truth), len(classes))) for contender in scored}
    nested, control = np.empty_like(outer[scored[0]]), np.empty((len(truth), len(classes)))
    without = np.zeros(len(truth), dtype=np.intp)
    for fold in range(N_FOLDS):
        train, test = folds != fold, folds == fold
        for contender, shares in fold_shares(scored, rows.labels, train, test):
            outer[contender][test] = shares
        ((_, control[test]),) = fold_shares(contenders[:1], permuted, train, test)
        inner = _choose_inside(view, contenders, alone, train, classes, seed)
        nested[test] = calibrated(outer[inner[0].contender][test], inner[0].calibration)
        if alone:
            without[test] = outer[inner[1].contender][test].argmax(axis=1)
    names = np.asarray(classes)
    return NestedResult(
        tuple(contenders),
        classes,
        folds,
        nested,
        {contender: names[shares.argmax(axis=1)] for contender, shares in outer.items()},
        names[without] if alone else None,
        names[control.argmax(axis=1)],
        permuted,
        _best(contenders, outer, truth, rows.groups),
    )


def _choose_inside(
    view: TrainingView,
    contenders: Sequence[Contender],
    alone: Sequence[Contender],
    train: NDArray[np.bool_],
    classes: tuple[str, ...],
    seed: int,
) -> list[Chosen]:
    """Choose on the training rows of one outer fold alone: among all, and among some."""
    where = np.flatnonzero(train)
    labels = view.rows.labels
    folds = grouped_folds(view.rows.groups[where], labels[where], N_INNER_FOLDS, seed)
    inner = {contender: np.empty((len(where), len(classes))) for contender in contenders}
    for fold in range(N_INNER_FOLDS):
        inside, outside = np.zeros(len(labels), bool), np.zeros(len(labels), bool)
        inside[where[folds != fold]] = outside[where[folds == fold]] = True
        shares_of = _fold_shares(view, classes, seed, contenders, labels, inside, outside)
        for contender, shares in shares_of:
            inner[contender][folds == fold] = shares
    truth, groups = np.searchsorted(classes, labels[where]), view.rows.groups[where]
    return [_best(some, inner, truth, groups) for some in (contenders, alone) if some]


def _best(
    contenders: Sequence[Contender],
    shares: Mapping[Contender, Floats],
    truth: NDArray[np.intp],
    groups: NDArray[np.str_],
) -> Chosen:
    """The best by balanced accuracy; the plain model, unless the best is ahead of it for certain.

    The gate, which also sees the held-out samples, allows `MARGIN` below: what is chosen here for
    certain seldom fails there, so that there is a model to promote.
    """
    predicted = {contender: shares[contender].argmax(axis=1) for contender in contenders}
    scores = [float(balanced_accuracy_score(truth, predicted[each])) for each in contenders]
    chosen = contenders[int(np.argmax(scores))]
    if PLAIN in predicted and chosen != PLAIN:
        best, plain = (predicted[each].astype(np.str_) for each in (chosen, PLAIN))
        lead = paired_difference(truth.astype(np.str_), best, plain, groups, metric=METRICS[0])
        chosen = chosen if _is_ahead(lead, margin=0.0) else PLAIN
    return Chosen(chosen, fit_calibration(shares[chosen], truth))


def _is_ahead(lead: Interval, margin: float) -> bool:
    return lead.value > 0 and lead.bounds[0] > margin


def _fold_shares(
    view: TrainingView,
    classes: tuple[str, ...],
    seed: int,
    contenders: Sequence[Contender],
    labels: NDArray[np.str_],
    train: NDArray[np.bool_],
    test: NDArray[np.bool_],
) -> list[tuple[Contender, Floats]]:
    """Probabilities of the test rows by every contender, fitted on the training rows.

    Heads of one representation share the fit of its preparation.
    """
    fitted_shares = []
    for name in dict.fromkeys(contender.representation for contender in contenders):
        X = view.rows.features[name].astype(np.float64)
        of_this = [contender for contender in contenders if contender.representation == name]
        most = max(MAX_COMPONENTS[contender.head] for contender in of_this)
        preparation = new_preparation(int(train.sum()), X.shape[1], seed, most)
        Z_train = fitted(preparation, X[train]).transform(X[train])
        Z_test = preparation.transform(X[test])
        n_classes = len(np.unique(labels[train]))
        for contender in of_this:
            k = MAX_COMPONENTS[contender.head]
            head = fitted(new_head(contender.head, n_classes, seed), Z_train[:, :k], labels[train])
            fitted_shares.append((contender, class_shares(head, Z_test[:, :k], classes)))
    return fitted_shares


def against_plain(
    manifest: ModelManifest, evidence: ModelEvidence, margin: float
) -> tuple[bool, str]:
    """Whether a model is the plainest one on expression, or ahead of it; and by how much.

    Ahead: what contenders are compared by is higher, and by the lower bound by more than `margin`;
    paired, on all samples that neither has seen. Out of fold, they are chosen inside the folds.
    Macro F1 is only stated: a choice by balanced accuracy may cost some of it.

    Raises
    ------
    ValueError
        If there are no predictions of the plain model.
    """
    if not evidence.plain:
        raise ValueError("there are no predictions of the plain model on expression to beat")
    if evidence.plain_name == f"{manifest.representation}, {manifest.head}":
        return True, f"it is the plain model, {evidence.plain_name}"
    unseen, plain = evidence.unseen, np.asarray(evidence.plain)
    lead, of_f1 = (
        paired_difference(unseen.truth, unseen.predicted, plain, unseen.groups, metric=metric)
        for metric in METRICS[:2]
    )
    finding = f"{evidence.plain_name}: {lead.value:+.3f} balanced accuracy, at least "
    finding += f"{lead.bounds[0]:+.3f}; needed above 0 and {margin}; macro F1 {of_f1.value:+.3f}"
    return _is_ahead(lead, margin), finding
