"""Evidence of a gene: numbered sentences and terms of the sources, which a statement can cite."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from genept.text import KnowledgeSources, PartName
from genept.text.recipes import PROSE, load_dimensions, speaking

PARTS: Final[tuple[PartName, ...]] = (
    "summary", "function", "disease", "go", "pathways", "interactions", "phenotypes",
)  # fmt: skip
"""Parts of descriptions that are evidence, in the order of the lines."""

MOST_CHARACTERS: Final = 2000
"""Of the evidence of a gene, so that it fits the context of a small model with its answer."""

MOST_ITEMS: Final = 8
"""Terms, pathways or partners in one line."""

_TITLES: Final = {
    "go": "Gene Ontology", "pathways": "Pathways", "interactions": "Interacts with",
    "phenotypes": "Phenotypes",
}  # fmt: skip


@dataclass(frozen=True)
class GeneEvidence:
    """What is known of a gene, line by line.

    Parameters
    ----------
    ensembl_gene_id, symbol, name
        The gene.
    lines
        Sentences, or lists of terms; a citation is a number from 1.
    sources
        Part and release of each line.
    """

    ensembl_gene_id: str
    symbol: str
    name: str
    lines: tuple[str, ...]
    sources: tuple[str, ...]

    @property
    def numbered(self) -> str:
        """The lines as a prompt shows them."""
        return "\n".join(f"[{number}] {line}" for number, line in enumerate(self.lines, 1))


def evidence_of(
    sources: KnowledgeSources, genes: pl.DataFrame, wanted: Collection[str]
) -> list[GeneEvidence]:
    """Collect the evidence of genes from all sources of this installation.

    Sentences that speak of no dimension, such as those on splice variants, are no evidence.

    Parameters
    ----------
    sources
        The sources.
    genes
        Table `genes`, whole: sentences may name others.
    wanted
        Ensembl ids.

    Returns
    -------
    list of GeneEvidence
        Of the wanted genes of which something is known, by id.
    """
    available = [part for part in PARTS if sources.missing(part) is None]
    knowledge = sources.read(genes, available)
    lines = [
        line
        for part in available
        for line in _lines(
            part,
            knowledge.facts[part].filter(pl.col("ensembl_gene_id").is_in(list(wanted))),
            f"{part}@{knowledge.releases[part]}",
            genes,
        )
    ]
    of_gene: dict[str, list[tuple[str, str]]] = {}
    for id_, line, source in lines:
        of_gene.setdefault(id_, []).append((line, source))
    names = genes.filter(pl.col("ensembl_gene_id").is_in(list(of_gene))).sort("ensembl_gene_id")
    return [
        GeneEvidence(id_, symbol, name or "", *_within(of_gene[id_]))
        for id_, symbol, name in names.select("ensembl_gene_id", "symbol", "name").iter_rows()
    ]


def _lines(
    part: PartName, facts: pl.DataFrame, source: str, genes: pl.DataFrame
) -> Iterator[tuple[str, str, str]]:
    """Gene, line and source: a sentence each, or one list for each kind of terms."""
    if part in PROSE:
        for id_, sentence in (
            speaking(facts, load_dimensions().values(), genes)
            .select("ensembl_gene_id", "item")
            .unique(maintain_order=True)
            .iter_rows()
        ):
            yield id_, sentence, source
        return
    kinds = ["aspect"] if "aspect" in facts.columns else []
    grouped = (
        facts.unique(["ensembl_gene_id", "item"], maintain_order=True)
        .group_by("ensembl_gene_id", *kinds, maintain_order=True)
        .agg(pl.col("item").head(MOST_ITEMS))
    )
    for row in grouped.iter_rows(named=True):
        title = ", ".join(filter(None, [_TITLES[part], row.get("aspect")]))
        yield row["ensembl_gene_id"], f"{title}: {'; '.join(row['item'])}", source


def _within(lines: list[tuple[str, str]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Lines and sources, as many as fit; the first one at least."""
    kept: list[tuple[str, str]] = []
    left = MOST_CHARACTERS
    for line, source in lines:
        left -= len(line)
        if left < 0 and kept:
            break
        kept.append((line[:MOST_CHARACTERS], source))
    return tuple(line for line, _ in kept), tuple(source for _, source in kept)
