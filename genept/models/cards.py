"""Model cards: data, scores and limits of a model as Markdown and HTML, and its figure.

The text is in `templates/card.jinja`. The figure is the confusion matrix of the holdout beside the
calibration curve. The forgetting matrix is in `genept.models.retraining_reports`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from sklearn.metrics import confusion_matrix

from genept.common import NO_SCRIPTS, html_text, markdown_code, markdown_text, new_figure, png_bytes
from genept.models.confidence import N_BINS, calibration_metrics, reliability
from genept.models.evidence import Interval, ModelEvidence, ModelManifest, Predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LIMITS = (
    "Research use: not for diagnosis of people, nor for any decision about them.",
    "Probabilities are calibrated on samples of the same collections; elsewhere they are not.",
    "A class that is not listed cannot be predicted: such a sample is given another one.",
    "It abstains on samples unlike those of its training; some that are foreign go unnoticed.",
)

Row = tuple[object, ...]


def _templates(escape: Callable[[object], str]) -> Environment:
    """Templates in which every value that is not marked as safe is escaped."""
    templates = Environment(
        loader=PackageLoader("genept.models"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else Markup(escape(value)),  # noqa: S704
    )
    templates.filters["code_span"] = lambda value: Markup(markdown_code(value))  # noqa: S704
    templates.filters["number"] = lambda value, form: Markup(format(value, form))  # noqa: S704
    return templates


MARKDOWN = _templates(markdown_text)
HTML = _templates(html_text)


def card_markdown(manifest: ModelManifest, evidence: ModelEvidence) -> str:
    """The card as Markdown; the figure is only on the HTML page.

    Parameters
    ----------
    manifest, evidence
        What the version is, and what was measured when it was trained.

    Returns
    -------
    str
        Markdown that ends with a line break.
    """
    return MARKDOWN.get_template("card.md.jinja").render(_contents(manifest, evidence), figure="")


def card_page(manifest: ModelManifest, evidence: ModelEvidence) -> str:
    """The card as one self-contained HTML page, with its figure inside."""
    figure = base64.b64encode(card_figure(evidence)).decode()
    template = HTML.get_template("card.html.jinja")
    return (
        template.render(_contents(manifest, evidence), figure=figure, no_scripts=NO_SCRIPTS) + "\n"
    )


def _contents(manifest: ModelManifest, evidence: ModelEvidence) -> dict[str, Any]:
    """Values that the template shows; tables as their rows."""
    out, unseen = evidence.holdout, evidence.unseen
    kept = unseen.confidence >= manifest.abstain_below
    counts = confusion_matrix(out.truth, out.predicted, labels=out.classes)
    return {
        "manifest": manifest,
        "evidence": evidence,
        "gain": evidence.embedding_gain,
        "both": _scores(evidence.both_less_expression),
        "cohorts": [(cohort.id, cohort.n, cohort.data_sha256) for cohort in manifest.cohorts],
        "scores": _scores(evidence.scores),
        "contenders": _scores(evidence.contenders | {"permuted labels": evidence.permuted}),
        "confusion": [(name, *row) for name, row in zip(out.classes, counts, strict=True)],
        "classes": list(_per_class(out.classes, counts)),
        "reliability": [
            (f"{k / N_BINS:.1f} – {(k + 1) / N_BINS:.1f}", n, f"{mean:.3f}", f"{right:.3f}")
            for k, n, mean, right in reliability(unseen)
        ],
        "calibration": calibration_metrics(unseen),
        "answered": kept.mean(),
        "right": unseen.right[kept].mean(),
        "of_cohorts": [
            (cohort, int(rows.sum()), f"{out.right[rows].mean():.3f}")
            for cohort in sorted(set(out.cohorts))
            for rows in [np.asarray(out.cohorts) == cohort]
        ],
        "limits": (*LIMITS, *manifest.caveats),
    }


def _scores(scores: dict[str, Interval]) -> list[Row]:
    rows: list[Row] = []
    for name, score in scores.items():
        interval = "" if score.low is None else f"{score.low:.3f} – {score.high:.3f}"
        rows.append((name, f"{score.value:.3f}", interval, score.n))
    return rows


def _per_class(classes: Iterable[str], counts: np.ndarray[Any, np.dtype[np.intp]]) -> Iterator[Row]:
    """Name, held-out samples, recall and precision; empty where there are none to count."""
    sums = zip(classes, np.diag(counts), counts.sum(axis=1), counts.sum(axis=0), strict=True)
    for name, hits, true, predicted in sums:
        yield (name, true, *(f"{hits / n:.3f}" if n else "" for n in (true, predicted)))


def card_figure(evidence: ModelEvidence) -> bytes:
    """One PNG; the same evidence gives the same bytes on one machine."""
    side = 3.2 + 0.28 * len(evidence.holdout.classes)
    figure = new_figure((side + 4.0, max(3.6, side)), dpi=100)
    left, right = figure.subplots(1, 2, width_ratios=[side, 3.6])
    _draw_confusion(left, evidence.holdout)
    _curve(right, evidence)
    return png_bytes(figure)


def _draw_confusion(axes: Axes, out: Predictions) -> None:
    """Shade is the share of the published class, numbers are samples."""
    counts = confusion_matrix(out.truth, out.predicted, labels=out.classes)
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
    _, sizes, probability, right = zip(*reliability(evidence.unseen), strict=True)
    total = sum(sizes)
    axes.plot([0, 1], [0, 1], color="#b5b5b5", linewidth=1, linestyle="--")
    axes.plot(probability, right, color="#4c72b0", linewidth=1)
    areas = [20 + 180 * n / total for n in sizes]
    axes.scatter(probability, right, s=areas, color="#4c72b0", zorder=3)
    for n, x, y in zip(sizes, probability, right, strict=True):
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
