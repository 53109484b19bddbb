"""What goes with a model into the release and the UI: its card and its figures."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from genept.common.display import NO_SCRIPTS, html_text, markdown_text
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
from genept.models.cards.forgetting import forgetting_matrix, forgetting_picture
from genept.models.evidence import ModelEvidence
from genept.models.registry import ModelRegistry
from genept.storage.lake import Lake
from genept.storage.provenance import StoredTable

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem;color:#1b1b1b;
background:#fff}table{border-collapse:collapse;margin:.5rem 0}th,td{border:1px solid #c9c9c9;
padding:.2rem .6rem;text-align:left;font-variant-numeric:tabular-nums}th{background:#f2f2f2}
.wide{overflow-x:auto}img{max-width:100%;height:auto}code{overflow-wrap:anywhere}
.use{border-left:4px solid #b00020;padding:.3rem .8rem;background:#fdf3f4}
"""


def card_markdown(facts: Facts, evidence: ModelEvidence) -> str:
    """The card as Markdown; figures are left to the page."""
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
            said = (
                f"Confusion matrix of the holdout and calibration curve of {facts.model}; "
                "the tables below say the same in numbers."
            )
            return (
                f'<figure><img alt="{html_text(said)}" '
                f'src="data:image/png;base64,{encoded}"><figcaption>{html_text(said)}</figcaption>'
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
        else _text(part)
        for part in parts
    )


def _text(part: str) -> str:
    """Text between two marks, with the spaces at its ends."""
    inner = part.strip()
    return part.replace(inner, markdown_text(inner)) if inner else part


def _cells(row: Iterable[str], tag: str) -> str:
    return "".join(f"<{tag}>{html_text(cell)}</{tag}>" for cell in row)


def _inline(text: str) -> str:
    bold = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", html_text(text))
    return re.sub(r"`(.+?)`", r"<code>\1</code>", bold)


@dataclass(frozen=True)
class ModelReports:
    """The papers of one version.

    Parameters
    ----------
    card, page
        The model card, as Markdown and as a self-contained HTML page.
    figure
        Confusion matrix and calibration curve; PNG.
    forgetting, picture
        What each retraining knows, as a Markdown table and as a PNG.
    """

    card: str
    page: str
    figure: bytes
    forgetting: str
    picture: bytes


def model_reports(
    lake: Lake, registry: ModelRegistry, verdicts: StoredTable
) -> dict[str, ModelReports]:
    """ModelReports of the versions in table ``gate_verdicts``, by model."""
    if not verdicts.parts:
        return {}
    versions = lake.read(verdicts, ["model", "model_version"]).unique(maintain_order=True)
    return {model: _papers(registry, model, version) for model, version in versions.iter_rows()}


def release_pages(papers: dict[str, ModelReports]) -> dict[str, bytes]:
    """Files of a release's audit, by path."""
    found: dict[str, bytes] = {}
    for model, one in papers.items():
        found[f"models/{model}.md"] = one.card.encode()
        found[f"models/{model}.html"] = one.page.encode()
        found[f"models/{model}-forgetting.png"] = one.picture
        found[f"models/{model}-forgetting.md"] = one.forgetting.encode()
    return found


def _papers(registry: ModelRegistry, model: str, version: str) -> ModelReports:
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
