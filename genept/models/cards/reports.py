"""Reports on a model for the release and the UI: its card as Markdown and HTML, and figures.

The forgetting matrix shows how well each retraining predicts each cohort and class, on the holdout
that it was judged by. What a card contains is in `genept.models.cards.card`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from genept.common import NO_SCRIPTS, html_text, markdown_text, new_figure, png_bytes
from genept.models.cards.card import (
    Block,
    Drawing,
    Facts,
    Grid,
    Heading,
    Paragraph,
    Points,
    card_blocks,
    card_figure,
)
from genept.models.evidence import ModelEvidence, cohort_cells
from genept.models.promotion import MAX_DROP
from genept.models.registry import ModelRegistry
from genept.storage import Lake, StoredTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem;color:#1b1b1b;
background:#fff}table{border-collapse:collapse;margin:.5rem 0}th,td{border:1px solid #c9c9c9;
padding:.2rem .6rem;text-align:left;font-variant-numeric:tabular-nums}th{background:#f2f2f2}
.wide{overflow-x:auto}img{max-width:100%;height:auto}code{overflow-wrap:anywhere}
.use{border-left:4px solid #b00020;padding:.3rem .8rem;background:#fdf3f4}
"""


def card_markdown(facts: Facts, evidence: ModelEvidence) -> str:
    """The card as Markdown; the figure is only on the HTML page.

    Parameters
    ----------
    facts, evidence
        Facts of the version, and what was measured when it was trained.

    Returns
    -------
    str
        Markdown that ends with a line break.
    """
    parts = (_markdown(block) for block in card_blocks(facts, evidence))
    return "\n\n".join(part for part in parts if part) + "\n"


def card_page(facts: Facts, evidence: ModelEvidence) -> str:
    """The card as one self-contained HTML page, with its figure inside."""
    body = "".join(_html(block, facts, evidence) for block in card_blocks(facts, evidence))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{NO_SCRIPTS}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Model card of {html_text(facts.model)}</title><style>{_STYLE}</style></head><body>"
        '<p class="use">Research use only: nothing here diagnoses people.</p>'
        f"<main>{body}</main></body></html>\n"
    )


def _markdown(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {markdown_text(text)}"
        case Paragraph(text):
            return _marked(text)
        case Grid(head, rows):
            cells = [[markdown_text(cell) for cell in row] for row in (head, *rows)]
            cells.insert(1, ["---"] * len(head))
            return "\n".join(f"| {' | '.join(row)} |" for row in cells)
        case Points(items):
            return "\n".join(f"- {_marked(item)}" for item in items)
        case Drawing():
            return ""


def _html(block: Block, facts: Facts, evidence: ModelEvidence) -> str:
    match block:
        case Heading(level, text):
            return f"<h{level}>{html_text(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{_inline(text)}</p>"
        case Grid(head, rows):
            names = _cells(head, "th")
            body = "".join(f"<tr>{_cells(row, 'td')}</tr>" for row in rows)
            return f'<div class="wide"><table><tr>{names}</tr>{body}</table></div>'
        case Points(items):
            return f"<ul>{''.join(f'<li>{_inline(item)}</li>' for item in items)}</ul>"
        case Drawing():
            encoded = base64.b64encode(card_figure(evidence)).decode()
            caption = (
                f"Confusion matrix of the holdout and calibration curve of {facts.model}; "
                "the tables below say the same in numbers."
            )
            return (
                f'<figure><img alt="{html_text(caption)}" '
                f'src="data:image/png;base64,{encoded}"><figcaption>{html_text(caption)}</figcaption>'
                "</figure>"
            )


def _marked(text: str) -> str:
    """Markdown of a paragraph, in which only its own bold and code have a meaning."""
    parts = re.split(r"(\*\*.+?\*\*|`.+?`)", text)
    return "".join(
        f"**{markdown_text(part[2:-2])}**"
        if part.startswith("**") and len(part) > 4
        else part
        if part.startswith("`") and len(part) > 2
        else part.replace(inner, markdown_text(inner))
        if (inner := part.strip())
        else part
        for part in parts
    )


def _cells(row: Iterable[str], tag: str) -> str:
    return "".join(f"<{tag}>{html_text(cell)}</{tag}>" for cell in row)


def _inline(text: str) -> str:
    bold = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", html_text(text))
    return re.sub(r"`(.+?)`", r"<code>\1</code>", bold)


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
        best = np.full(len(self.cells), -np.inf)
        drops = np.zeros(self.right.shape, dtype=np.bool_)
        for column in range(self.right.shape[1]):
            now = self.right[:, column]
            drops[:, column] = (now < best - MAX_DROP) | (np.isnan(now) & np.isfinite(best))
            best = np.fmax(best, now)
        return drops

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
    """The forgetting matrix of the stored versions of a model, from the evidence of each."""
    history = registry.history(model)[-SHOWN:]
    pointer, _ = registry.pointer(model)
    champions = {named.version for named in pointer.models} if pointer else set()
    known: list[dict[str, float]] = []
    for version, _ in history:
        out = registry.evidence(registry.manifest(model, version)).holdout
        right = out.predicted == out.truth
        known.append(
            {name: float(right[rows].mean()) for name, rows in cohort_cells(out) if len(rows)}
        )
    cells = tuple(sorted({cell for named in known for cell in named}))
    return ForgettingMatrix(
        model,
        cells,
        tuple(f"{when:%Y-%m-%d %H:%M} {version[:6]}" for version, when in history),
        tuple(version in champions for version, _ in history),
        np.array([[named.get(cell, np.nan) for named in known] for cell in cells]),
    )


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
        for name, star in zip(matrix.names, matrix.was_champion, strict=True)
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


@dataclass(frozen=True)
class ModelReports:
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

    card: str
    page: str
    figure: bytes
    forgetting: str
    picture: bytes


def model_reports(
    lake: Lake, registry: ModelRegistry, verdicts: StoredTable
) -> dict[str, ModelReports]:
    """Reports on the versions in table ``gate_verdicts``.

    Parameters
    ----------
    lake, registry, verdicts
        Where tables and models are kept; table ``gate_verdicts``.

    Returns
    -------
    dict of str to ModelReports
        Reports by model; none where the table is empty.
    """
    if not verdicts.parts:
        return {}
    versions = lake.read(verdicts, ["model", "model_version"]).unique(maintain_order=True)
    return {model: _reports(registry, model, version) for model, version in versions.iter_rows()}


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
    pages: dict[str, bytes] = {}
    for model, report in reports.items():
        pages |= {
            f"models/{model}.md": report.card.encode(),
            f"models/{model}.html": report.page.encode(),
            f"models/{model}-forgetting.png": report.picture,
            f"models/{model}-forgetting.md": report.forgetting.encode(),
        }
    return pages


def _reports(registry: ModelRegistry, model: str, version: str) -> ModelReports:
    manifest = registry.manifest(model, version)
    evidence = registry.evidence(manifest)
    matrix = forgetting_matrix(registry, model)
    return ModelReports(
        registry.card(manifest),
        card_page(Facts.of(manifest), evidence),
        card_figure(evidence),
        matrix.markdown(),
        forgetting_picture(matrix),
    )
