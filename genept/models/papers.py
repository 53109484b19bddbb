"""What goes with a model into the release and the UI: its card, its figures, what it forgot."""

from __future__ import annotations

from dataclasses import dataclass

from genept.models.card import Facts
from genept.models.card_figure import card_figure
from genept.models.card_pages import card_page
from genept.models.forgetting import forgetting_matrix, forgetting_picture
from genept.models.registry import ModelRegistry
from genept.store.lake import Lake, StoredTable


@dataclass(frozen=True)
class Papers:
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


def papers_of(lake: Lake, registry: ModelRegistry, verdicts: StoredTable) -> dict[str, Papers]:
    """Papers of the versions in table ``gate_verdicts``, by model."""
    if not verdicts.parts:
        return {}
    versions = lake.read(verdicts, ["model", "model_version"]).unique(maintain_order=True)
    return {model: _papers(registry, model, version) for model, version in versions.iter_rows()}


def release_pages(papers: dict[str, Papers]) -> dict[str, bytes]:
    """Files of a release's audit, by path."""
    found: dict[str, bytes] = {}
    for model, one in papers.items():
        found[f"models/{model}.md"] = one.card.encode()
        found[f"models/{model}.html"] = one.page.encode()
        found[f"models/{model}-forgetting.png"] = one.picture
        found[f"models/{model}-forgetting.md"] = one.forgetting.encode()
    return found


def _papers(registry: ModelRegistry, model: str, version: str) -> Papers:
    manifest = registry.manifest(model, version)
    evidence = registry.evidence(manifest)
    matrix = forgetting_matrix(registry, model)
    return Papers(
        registry.card(manifest),
        card_page(Facts.of(manifest), evidence),
        card_figure(evidence),
        matrix.markdown(),
        forgetting_picture(matrix),
    )
