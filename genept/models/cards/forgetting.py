"""The forgetting matrix: how well each retraining knows each cohort and class, side by side.

Every version is scored on the holdout that it was judged by. Whether a drop blocks a
promotion is decided in `genept.models.promotion.promotion_gate`; here it is shown.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from genept.common.display import markdown_text, new_figure
from genept.models.promotion.promotion_gate import MAX_DROP, cohort_cells
from genept.models.registry import ModelRegistry

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN: Final = 12
"""Retrainings in a picture: the latest."""


@dataclass(frozen=True)
class ForgettingMatrix:
    """Share that is right of each cohort and class, by retraining, oldest first.

    Parameters
    ----------
    cells
        Cohorts, and classes of cohorts.
    names
        Of the retrainings: date and version.
    was_champion
        Which of them were promoted, as far as is still known.
    right
        Cells × retrainings; NaN where a version had no such samples.
    """

    model: str
    cells: tuple[str, ...]
    names: tuple[str, ...]
    was_champion: tuple[bool, ...]
    right: NDArray[np.float64]

    @property
    def drops(self) -> NDArray[np.bool_]:
        """Where a retraining knows less, by more than is tolerated, than the best before it."""
        best = np.full(len(self.cells), -np.inf)
        found = np.zeros(self.right.shape, dtype=np.bool_)
        for column in range(self.right.shape[1]):
            now = self.right[:, column]
            found[:, column] = (now < best - MAX_DROP) | (np.isnan(now) & np.isfinite(best))
            best = np.fmax(best, now)
        return found

    def markdown(self) -> str:
        """The matrix as a table; a drop is bold, a champion has a star."""
        heads = [
            name + (" ★" if star else "")
            for name, star in zip(self.names, self.was_champion, strict=True)
        ]
        lines = [
            f"| | {' | '.join(map(markdown_text, heads))} |",
            f"| {' | '.join(['---'] * (len(heads) + 1))} |",
        ]
        for cell, values, drops in zip(self.cells, self.right, self.drops, strict=True):
            shown = [
                f"**{_shown(value)}**" if drop else _shown(value)
                for value, drop in zip(values, drops, strict=True)
            ]
            lines.append(f"| {markdown_text(cell)} | {' | '.join(shown)} |")
        return "\n".join(lines) + "\n"


def forgetting_matrix(registry: ModelRegistry, model: str) -> ForgettingMatrix:
    """What the kept versions of a model know, from the evidence that each was judged by."""
    history = registry.history(model)[-SHOWN:]
    pointer, _ = registry.pointer(model)
    champions = {one.version for one in pointer.models} if pointer else set()
    known: list[dict[str, float]] = []
    for version, _ in history:
        out = registry.evidence(registry.manifest(model, version)).holdout
        right = out.predicted == out.truth
        known.append(
            {name: float(right[rows].mean()) for name, rows in cohort_cells(out) if len(rows)}
        )
    cells = tuple(sorted({cell for one in known for cell in one}))
    return ForgettingMatrix(
        model,
        cells,
        tuple(f"{when:%Y-%m-%d %H:%M} {version[:6]}" for version, when in history),
        tuple(version in champions for version, _ in history),
        np.array([[one.get(cell, np.nan) for one in known] for cell in cells]),
    )


def forgetting_picture(matrix: ForgettingMatrix) -> bytes:
    """One PNG: cohorts and classes against retrainings; what was forgotten has a red frame."""
    rows, columns = matrix.right.shape
    size = (4.2 + 0.75 * columns, 1.9 + 0.27 * rows)
    figure = new_figure(size, dpi=100)
    axes = figure.subplots()
    axes.set_facecolor("#e3e3e3")
    image = axes.imshow(matrix.right, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    _write(axes, matrix)
    stars = [
        name.replace(" ", "\n", 1) + ("\n★ champion" if star else "")
        for name, star in zip(matrix.names, matrix.was_champion, strict=True)
    ]
    axes.set_xticks(range(columns), stars, fontsize=6)
    axes.set_yticks(range(rows), [cell[:44] for cell in matrix.cells], fontsize=7)
    axes.set_title(f"{matrix.model}: what each retraining knows (holdout)", fontsize=9)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("share that is right", fontsize=7)
    bar.ax.tick_params(labelsize=6)
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def _write(axes: Axes, matrix: ForgettingMatrix) -> None:
    from matplotlib.patches import Rectangle

    for (row, column), value in np.ndenumerate(matrix.right):
        colour = "black" if np.isnan(value) or value > 0.6 else "white"
        axes.text(column, row, _shown(value), ha="center", va="center", fontsize=7, color=colour)
        if matrix.drops[row, column]:
            frame = Rectangle(
                (column - 0.47, row - 0.45), 0.94, 0.9, fill=False, edgecolor="red", linewidth=2
            )
            axes.add_patch(frame)


def _shown(value: float) -> str:
    return "gone" if np.isnan(value) else f"{value:.2f}"
