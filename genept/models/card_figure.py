"""The figure of a model card: confusion matrix of the holdout beside the calibration curve."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from genept.drawing import new_figure
from genept.models.card import reliability
from genept.models.evidence import Evidence, Predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def card_figure(evidence: Evidence) -> bytes:
    """One PNG; the same evidence gives the same bytes on one machine."""
    k = len(evidence.holdout.classes)
    side = 3.2 + 0.28 * k
    figure = new_figure((side + 4.0, max(3.6, side)), dpi=100)
    left, right = figure.subplots(1, 2, width_ratios=[side, 3.6])
    _confusion(left, evidence.holdout)
    _curve(right, evidence)
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def _confusion(axes: Axes, out: Predictions) -> None:
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


def _curve(axes: Axes, evidence: Evidence) -> None:
    """What was said against what was right; the size of a point is its number of samples."""
    bins = list(reliability(evidence))
    total = sum(n for _, n, _, _ in bins)
    axes.plot([0, 1], [0, 1], color="#b5b5b5", linewidth=1, linestyle="--")
    said, right = [one[2] for one in bins], [one[3] for one in bins]
    axes.plot(said, right, color="#4c72b0", linewidth=1)
    sizes = [20 + 180 * one[1] / total for one in bins]
    axes.scatter(said, right, s=sizes, color="#4c72b0", zorder=3)
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
