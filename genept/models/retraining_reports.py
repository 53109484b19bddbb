"""Reports on a model for the release and the UI: its card, and what each retraining knows.

The forgetting matrix shows how well each retraining predicts each cohort and class, on the holdout
that it was judged by. What a card contains is in `genept.models.cards`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files as resources
from typing import TYPE_CHECKING, Final

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from genept.common import MissingObjectError, new_figure, png_bytes
from genept.models.cards import MARKDOWN, card_figure, card_page
from genept.models.promotion_gate import MAX_DROP
from genept.models.registry import ModelRegistry
from genept.storage import Lake, Origin, StoredTable, sha256_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN: Final = 12  # the latest retrainings


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
        Which of them are among the last champions.
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
        """Cells in which a retraining is worse than the best before it, beyond the tolerance."""
        start = np.full((len(self.cells), 1), -np.inf)
        before = np.fmax.accumulate(np.hstack([start, self.right]), axis=1)[:, :-1]
        return (self.right < before - MAX_DROP) | (np.isnan(self.right) & np.isfinite(before))

    def markdown(self) -> str:
        """The matrix as a table; a drop is bold, a champion has a star."""

        def cell(value: float, drop: bool) -> Markup:
            return Markup(f"**{_shown(value)}**" if drop else _shown(value))  # noqa: S704

        shown = np.vectorize(cell, otypes=[object])(self.right, self.drops)
        rows = ((name, *values) for name, values in zip(self.cells, shown, strict=True))
        return MARKDOWN.get_template("forgetting.md.jinja").render(
            head=("", *(f"{name}{' ★' * star}" for name, star in self._starred)), rows=rows
        )

    @property
    def _starred(self) -> Iterator[tuple[str, bool]]:
        return zip(self.names, self.was_champion, strict=True)


def forgetting_matrix(registry: ModelRegistry, model: str) -> ForgettingMatrix:
    """The forgetting matrix of the stored versions of a model, from the evidence of each."""
    history = registry.history(model)[-SHOWN:]
    pointer, _ = registry.pointer(model)
    champions = {named.version for named in pointer.models} if pointer else set()
    known: list[dict[str, float]] = []
    for version, _ in history:
        out = registry.evidence(registry.manifest(model, version)).holdout
        hits = out.right
        known.append({name: float(hits[rows].mean()) for name, rows in out.cells if len(rows)})
    cells = tuple(sorted({cell for named in known for cell in named}))
    names = tuple(f"{when:%Y-%m-%d %H:%M} {version[:6]}" for version, when in history)
    was_champion = tuple(version in champions for version, _ in history)
    right = np.array([[named.get(cell, np.nan) for named in known] for cell in cells])
    return ForgettingMatrix(model, cells, names, was_champion, right)


def forgetting_picture(matrix: ForgettingMatrix) -> bytes:
    """PNG of cohorts and classes against retrainings; drops have a red frame."""
    rows, columns = matrix.right.shape
    figure = new_figure((4.2 + 0.75 * columns, 1.9 + 0.27 * rows), dpi=100)
    axes = figure.subplots()
    axes.set_facecolor("#e3e3e3")
    image = axes.imshow(matrix.right, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    _write(axes, matrix)
    stars = [
        name.replace(" ", "\n", 1) + ("\n★ champion" if star else "")
        for name, star in matrix._starred
    ]
    axes.set_xticks(range(columns), stars, fontsize=6)
    axes.set_yticks(range(rows), [cell[:44] for cell in matrix.cells], fontsize=7)
    axes.set_title(f"{matrix.model}: what each retraining knows (holdout)", fontsize=9)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("share that is right", fontsize=7)
    bar.ax.tick_params(labelsize=6)
    return png_bytes(figure)


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


class ModelReports(BaseModel):
    """The reports on one version.

    Parameters
    ----------
    card, page
        The model card, as Markdown and as a self-contained HTML page.
    figure
        Confusion matrix and calibration curve; PNG.
    forgetting, picture
        The forgetting matrix, in Markdown and as PNG.
    """

    model_config = ConfigDict(frozen=True, ser_json_bytes="base64", val_json_bytes="base64")

    card: str
    page: str
    figure: bytes
    forgetting: str
    picture: bytes


def judged_models(lake: Lake, verdicts: StoredTable) -> list[str]:
    """Names of the models that the gate has judged.

    Parameters
    ----------
    lake, verdicts
        Where tables are kept; table ``gate_verdicts``.

    Returns
    -------
    list of str
        In alphabetical order.
    """
    if not verdicts.parts:
        return []
    return sorted(set(lake.read(verdicts, ["model"])["model"]))


def model_reports(
    lake: Lake, registry: ModelRegistry, verdicts: StoredTable
) -> dict[str, ModelReports]:
    """Reports on the versions in table ``gate_verdicts``; drawn unless the lake holds them.

    Parameters
    ----------
    lake, registry, verdicts
        Where tables, reports and models are kept; table ``gate_verdicts``.

    Returns
    -------
    dict of str to ModelReports
        Reports by model; none where the table is empty.
    """
    if not verdicts.parts:
        return {}
    reports: dict[str, ModelReports] = {}
    versions = lake.read(verdicts, ["model", "model_version"]).unique(maintain_order=True)
    for model, version in versions.iter_rows():
        key = _key(lake, registry, model, version)
        try:
            reports[model] = ModelReports.model_validate_json(lake.store.get(key))
        except MissingObjectError:
            reports[model] = _report(registry, model, version)
            lake.store.put_if_absent(key, reports[model].model_dump_json().encode())
    return reports


def _key(lake: Lake, registry: ModelRegistry, model: str, version: str) -> str:
    """Key of a stored report: of its version, of the retrainings that it compares, of its code."""
    pointer, _ = registry.pointer(model)
    champions = [named.version for named in pointer.models] if pointer else []
    templates = resources("genept.models").joinpath("templates").iterdir()
    origin = Origin(
        code=("genept.models",),
        inputs={file.name: sha256_of(file.read_text()) for file in templates if file.is_file()},
        settings={
            "model": [model, version],
            "history": [known for known, _ in registry.history(model)],
            "champions": champions,
        },
        libraries=("matplotlib",),
    )
    return f"{lake.prefix}/reports/{sha256_of(origin.as_dict())}.json"


def _report(registry: ModelRegistry, model: str, version: str) -> ModelReports:
    manifest = registry.manifest(model, version)
    evidence, matrix = registry.evidence(manifest), forgetting_matrix(registry, model)
    return ModelReports(
        card=registry.card(manifest),
        page=card_page(manifest, evidence),
        figure=card_figure(evidence),
        forgetting=matrix.markdown(),
        picture=forgetting_picture(matrix),
    )


def release_pages(reports: dict[str, ModelReports]) -> dict[str, bytes]:
    """Files of a release's audit.

    Parameters
    ----------
    reports
        Reports by model.

    Returns
    -------
    dict of str to bytes
        Contents by path, such as ``models/diagnosis-tcga-brca.md``: four files a model.
    """
    return {
        f"models/{model}{ending}": content
        for model, report in reports.items()
        for ending, content in (
            (".md", report.card.encode()),
            (".html", report.page.encode()),
            ("-forgetting.png", report.picture),
            ("-forgetting.md", report.forgetting.encode()),
        )
    }
