"""Contents of model cards: data, scores and limits of a model, and its figure.

The figure is the confusion matrix of the holdout beside the calibration curve. Markdown and HTML
are written in `genept.models.cards.reports`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genept.common import new_figure, png_bytes
from genept.models.evidence import (
    N_BINS,
    Cohort,
    Interval,
    ModelEvidence,
    ModelManifest,
    Predictions,
    calibration_metrics,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LIMITS = (
    "Research use: not for diagnosis of people, nor for any decision about them.",
    "Probabilities are calibrated on samples of the same collections; elsewhere they are not.",
    "A class that is not listed cannot be predicted: such a sample is given another one.",
    "It abstains on samples unlike those of its training; some that are foreign go unnoticed.",
)


@dataclass(frozen=True)
class Heading:
    """A heading of a level, 1 to 3."""

    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; ``**bold**`` and `` `code` `` are understood."""

    text: str


@dataclass(frozen=True)
class Grid:
    """A table."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Points:
    """A list of points."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Drawing:
    """Where a page has the confusion matrix and the calibration curve as a figure."""


Block = Heading | Paragraph | Grid | Points | Drawing


@dataclass(frozen=True)
class Facts:
    """Facts of a model on its card, besides the evidence.

    Parameters
    ----------
    model, version
        Name of the model, and the hash that names the version.
    label, chosen
        What it predicts; representation and head, such as ``expression, linear``.
    cohorts
        Data sets that it was trained on.
    left_out, abstain_below
        Number of samples of too rare classes, by class; probability below which it abstains.
    caveats
        Sentences on the data, which the card adds to `LIMITS`.
    """

    model: str
    version: str
    label: str
    chosen: str
    cohorts: tuple[Cohort, ...]
    left_out: dict[str, int]
    abstain_below: float
    caveats: tuple[str, ...] = ()

    @classmethod
    def of(cls, manifest: ModelManifest) -> Facts:
        """The facts of a stored version."""
        return cls(
            manifest.model,
            manifest.version,
            manifest.label,
            f"{manifest.representation}, {manifest.head}",
            manifest.cohorts,
            manifest.left_out,
            manifest.abstain_below,
            manifest.caveats,
        )


def card_blocks(facts: Facts, evidence: ModelEvidence) -> Iterator[Block]:
    """The card of one version, from its evidence."""
    out = evidence.holdout
    yield Heading(1, facts.model)
    yield Paragraph(f"Reads `{facts.label}` from a bulk sample; version `{facts.version}`.")
    yield Paragraph(f"Chosen by nested grouped cross-validation: **{facts.chosen}**.")
    yield Heading(2, "Data")
    of_cohorts = ((cohort.id, cohort.n, cohort.data_sha256) for cohort in facts.cohorts)
    yield _grid(("cohort", "samples", "data"), of_cohorts)
    yield Paragraph(
        f"Trained on {len(evidence.out_of_fold.ids)} samples; {len(out.ids)} were held out."
    )
    for name, n in facts.left_out.items():
        yield Paragraph(f"Left out, in too few groups: {name} ({n} samples).")
    yield from _metrics(evidence)
    yield Drawing()
    yield Heading(3, "Confusion matrix of the holdout (rows: published, columns: predicted)")
    yield _grid(("", *out.classes), _confusion(out))
    yield Heading(3, "Classes")
    yield _grid(("class", "held out", "recall", "precision"), _per_class(out))
    yield Heading(3, "Calibration")
    yield _grid(("probability", "samples", "said", "right"), _reliability(evidence))
    yield Paragraph(_calibration(evidence, facts.abstain_below))
    yield Heading(2, "Cohorts")
    yield _grid(("cohort", "held out", "accuracy"), _per_cohort(out))
    yield Heading(2, "Limits")
    yield Points((*LIMITS, *facts.caveats))


def _metrics(evidence: ModelEvidence) -> Iterator[Block]:
    yield Heading(2, "Metrics")
    head = ("value", "95 % interval", "n")
    of_holdout = ((name, *_shown(score)) for name, score in evidence.scores.items())
    yield _grid(("on the holdout", *head), of_holdout)
    yield Paragraph("Balanced accuracy out of fold, every contender and control:")
    every = evidence.contenders | {"permuted labels": evidence.permuted}
    shown = ((name, *_shown(score)) for name, score in every.items())
    yield _grid(("representation, head", *head), shown)
    yield Paragraph(_gain(evidence.embedding_gain))


def _grid(head: Sequence[object], rows: Iterable[Sequence[object]]) -> Grid:
    return Grid(tuple(map(str, head)), tuple(tuple(map(str, row)) for row in rows))


def _shown(score: Interval) -> tuple[str, str, int]:
    interval = "" if score.low is None else f"{score.low:.3f} – {score.high:.3f}"
    return f"{score.value:.3f}", interval, score.n


def _gain(gain: Interval | None) -> str:
    if gain is None or gain.low is None or gain.high is None:
        return "There was no choice between expression alone and an embedding."
    effect = "nothing that differs from chance"
    if gain.low > 0:
        effect = "something"
    elif gain.high < 0:
        effect = "less than nothing"
    return (
        f"The embedding added {effect} to expression: {gain.value:+.3f} balanced accuracy "
        f"[{gain.low:+.3f}, {gain.high:+.3f}], the choice among all contenders against that "
        "among those which read expression alone, both made inside the same folds."
    )


def _confusion(out: Predictions) -> Iterator[Sequence[object]]:
    for label in out.classes:
        row = out.predicted[out.truth == label]
        yield (label, *(int((row == predicted).sum()) for predicted in out.classes))


def _per_class(out: Predictions) -> Iterator[Sequence[object]]:
    for label in out.classes:
        true, predicted = out.truth == label, out.predicted == label
        hits = int((true & predicted).sum())
        yield (
            label,
            int(true.sum()),
            f"{hits / true.sum():.3f}" if true.any() else "",
            f"{hits / predicted.sum():.3f}" if predicted.any() else "",
        )


def _per_cohort(out: Predictions) -> Iterator[Sequence[object]]:
    cohorts, right = np.asarray(out.cohorts), out.predicted == out.truth
    for cohort in sorted(set(out.cohorts)):
        rows = cohorts == cohort
        yield cohort, int(rows.sum()), f"{right[rows].mean():.3f}"


def reliability(evidence: ModelEvidence) -> Iterator[tuple[int, int, float, float]]:
    """By bin of the probability: bin, samples, mean probability, share that is right.

    Of all samples that the model did not see: out of fold, and held out.
    """
    seen, out = evidence.out_of_fold, evidence.holdout
    top = np.concatenate([seen.shares.max(axis=1), out.shares.max(axis=1)])
    right = np.concatenate([seen.predicted == seen.truth, out.predicted == out.truth])
    bins = np.minimum((top * N_BINS).astype(np.intp), N_BINS - 1)
    for number in np.unique(bins):
        rows = bins == number
        yield int(number), int(rows.sum()), float(top[rows].mean()), float(right[rows].mean())


def _reliability(evidence: ModelEvidence) -> Iterator[Sequence[object]]:
    for number, n, probability, right in reliability(evidence):
        yield (
            f"{number / N_BINS:.1f} – {(number + 1) / N_BINS:.1f}",
            n,
            f"{probability:.3f}",
            f"{right:.3f}",
        )


def _calibration(evidence: ModelEvidence, abstain_below: float) -> str:
    seen, out = evidence.out_of_fold, evidence.holdout
    shares = np.concatenate([seen.shares, out.shares])
    truth = np.searchsorted(out.classes, np.concatenate([seen.truth, out.truth]))
    metrics = calibration_metrics(shares, truth)
    kept = shares.max(axis=1) >= abstain_below
    right = shares.argmax(axis=1) == truth
    return (
        f"Slope {metrics.slope:.2f}, expected calibration error {metrics.ece:.3f}, Brier score "
        f"{metrics.brier:.3f}, on samples that the model did not see. Below a probability of "
        f"{abstain_below} it abstains: it answers {kept.mean():.1%}, of which "
        f"{right[kept].mean():.1%} are right."
    )


def card_figure(evidence: ModelEvidence) -> bytes:
    """One PNG; the same evidence gives the same bytes on one machine."""
    k = len(evidence.holdout.classes)
    side = 3.2 + 0.28 * k
    figure = new_figure((side + 4.0, max(3.6, side)), dpi=100)
    left, right = figure.subplots(1, 2, width_ratios=[side, 3.6])
    _draw_confusion(left, evidence.holdout)
    _curve(right, evidence)
    return png_bytes(figure)


def _draw_confusion(axes: Axes, out: Predictions) -> None:
    """Shade is the share of the published class, numbers are samples."""
    counts = np.array(
        [
            [int(((out.truth == a) & (out.predicted == b)).sum()) for b in out.classes]
            for a in out.classes
        ]
    )
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), n in np.ndenumerate(counts):
        if n:
            colour = "white" if shares[row, column] > 0.6 else "black"
            axes.text(column, row, str(n), ha="center", va="center", fontsize=8, color=colour)
    names = [name if len(name) < 24 else f"{name[:22]}…" for name in out.classes]
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_xlabel("predicted", fontsize=8)
    axes.set_ylabel("published", fontsize=8)
    axes.set_title(f"holdout, {len(out.ids)} samples", fontsize=9)


def _curve(axes: Axes, evidence: ModelEvidence) -> None:
    """Predicted probability against the share that was right; points are sized by samples."""
    bins = list(reliability(evidence))
    total = sum(n for _, n, _, _ in bins)
    axes.plot([0, 1], [0, 1], color="#b5b5b5", linewidth=1, linestyle="--")
    probability, right = [point[2] for point in bins], [point[3] for point in bins]
    axes.plot(probability, right, color="#4c72b0", linewidth=1)
    sizes = [20 + 180 * point[1] / total for point in bins]
    axes.scatter(probability, right, s=sizes, color="#4c72b0", zorder=3)
    for _, n, x, y in bins:
        axes.annotate(
            f"{n}", (x, y), textcoords="offset points", xytext=(0, -14), fontsize=7, ha="center"
        )
    axes.set_xlim(0, 1.03)
    axes.set_ylim(0, 1.03)
    axes.set_aspect("equal")
    axes.set_xlabel("probability of the prediction", fontsize=8)
    axes.set_ylabel("share that was right", fontsize=8)
    axes.set_title(f"calibration, {total} samples not seen", fontsize=9)
    axes.tick_params(labelsize=7)
