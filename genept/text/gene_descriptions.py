"""Table `gene_descriptions`: which genes a recipe describes, and which it does not, and why.

Composing one text is `genept.text.composition`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import polars as pl

from genept.common import StoreError
from genept.datasources import most_specific_first
from genept.schema.tables import TABLES
from genept.storage import Lake, NewPart, Origin, Part
from genept.text.composition import (
    Lengths,
    PartOfText,
    compose,
    masked,
    text_sha256,
    without_control_characters,
)
from genept.text.knowledge import Knowledge, KnowledgeSources
from genept.text.limits import CountTokens, counted_by, counting
from genept.text.recipes import PartUse, Recipe, speaking

_NOTHING_LEFT: Final = {
    True: "nothing is left of it under the masks",
    False: "its sources say nothing of what the recipe is about",
}

_IDENTITY: Final = ("ensembl_gene_id", "symbol")


def describe(
    knowledge: Knowledge, recipe: Recipe, count_tokens: CountTokens
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Compose the text of every gene that has what the recipe requires.

    Returns rows of table `gene_descriptions`; and of `undescribed_genes`: genes of the recipe's
    biotypes without a text, with the reason.
    """
    rows: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    described: list[tuple[dict[str, Any], list[PartOfText]]] = []
    for gene, parts in gene_parts(knowledge, recipe):
        identity = {"recipe": recipe.id, **{name: gene[name] for name in _IDENTITY}}
        reason = _lacking(recipe, parts, knowledge.without_content, gene["ensembl_gene_id"])
        kept = [] if reason else [masked(part, recipe, gene) for part in parts]
        if any(part.items for part in kept):
            described.append((identity, kept))
        else:
            left_out.append(identity | {"reason": reason or _NOTHING_LEFT[bool(recipe.masks)]})
    pieces = (item for _, parts in described for part in parts for item in part.items)
    length = Lengths(count_tokens, pieces)
    for identity, parts in described:
        composed = compose(recipe, parts, length)
        rows.append(
            {
                **identity,
                "text": composed.text,
                "text_sha256": text_sha256(composed.text),
                "n_tokens": composed.n_tokens,
                "parts": [part.record for part in composed.parts if part.known],
            }
        )
    return _frame("gene_descriptions", rows), _frame("undescribed_genes", left_out)


def _frame(table: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, pl.DataFrame(TABLES[table].schema().empty_table()).schema)


def gene_parts(
    knowledge: Knowledge, recipe: Recipe, gene: str | None = None
) -> Iterator[tuple[dict[str, Any], list[PartOfText]]]:
    """Yield every gene of the recipe's biotypes with its parts, not yet masked.

    Parameters
    ----------
    knowledge
        What is known of each gene.
    recipe
        The recipe.
    gene
        An Ensembl gene id: only this gene, of any biotype.

    Yields
    ------
    gene, parts
        A row of table `genes`, and its parts in the order of the recipe.
    """
    wanted = (
        pl.col("biotype").is_in(recipe.biotypes)
        if gene is None
        else pl.col("ensembl_gene_id") == gene
    )
    genes = knowledge.genes.filter(wanted).sort("ensembl_gene_id")
    items = [_items(knowledge, use, use.part, genes) for use in recipe.parts]
    others = [
        _items(knowledge, use, use.otherwise, genes) if use.otherwise else {}
        for use in recipe.parts
    ]
    for row in genes.iter_rows(named=True):
        id_ = row["ensembl_gene_id"]
        parts = []
        for use, own, other in zip(recipe.parts, items, others, strict=True):
            name = use.otherwise if use.otherwise and id_ not in own else use.part
            its_items = (own if name == use.part else other).get(id_, [])
            parts.append(_part(use, name, knowledge.releases.get(name, "no source"), its_items))
        yield row, parts


def describe_genes(
    lake: Lake,
    sources: KnowledgeSources,
    genes: Part,
    recipe: Recipe,
    wordpiece: Callable[[], CountTokens],
    *,
    max_genes: int | None = None,
) -> list[Part]:
    """Build one recipe's parts of tables `gene_descriptions` and `undescribed_genes`.

    Nothing is built if the lake holds them already.

    Parameters
    ----------
    lake
        Where the tables are stored.
    sources
        What is known of genes on this installation.
    genes
        The part of table `genes`.
    recipe
        The recipe.
    wordpiece
        Opens MiniLM's tokenizer; called only if texts are to be counted in its tokens.
    max_genes
        Describe only the first genes by id; None: all.

    Returns
    -------
    list of Part
        One of each table.

    Raises
    ------
    StoreError
        A part that the recipe requires has no source here, or no gene has it.
    """
    if reason := sources.unavailable(recipe):
        raise StoreError(f"recipe {recipe.id!r} is not available: {reason}")
    tokenizer = {"minilm": sources.archives.catalogue.sources["minilm"].sha256}
    origin = Origin(
        code=("genept.datasources", "genept.text", "genept.schema.tables"),
        inputs={"genes": genes.sha256}
        | tokenizer
        | sources.inputs(recipe.part_names, recipe.writer),
        settings={
            "recipe": recipe.model_dump(mode="json"),
            "counted_by": counted_by(recipe.counted_in),
            "max_genes": max_genes,
        },
        libraries=("tokenizers",),
    )

    def compute() -> list[NewPart]:
        knowledge = sources.read(lake.read(genes), recipe.part_names, recipe.writer)
        rows, left_out = describe(knowledge, recipe, counting(recipe.counted_in, wordpiece))
        if rows.is_empty():
            raise StoreError(
                f"recipe {recipe.id!r} describes no gene: none of the {genes.rows} is of biotype "
                f"{' or '.join(recipe.biotypes)} and has {' and '.join(recipe.requires)}; see "
                "genept/text/recipes/recipes.toml"
            )
        return [
            NewPart("gene_descriptions", rows.head(max_genes or rows.height), (recipe.id,)),
            NewPart("undescribed_genes", left_out, (recipe.id,)),
        ]

    return lake.build(f"descriptions/{recipe.id}", origin, compute)


def _items(
    knowledge: Knowledge, use: PartUse, part: str, genes: pl.DataFrame
) -> dict[str, list[str]]:
    """A part's items by gene, narrowed to what the recipe asks for."""
    if part not in knowledge.facts:
        return {}
    facts = knowledge.facts[part].join(genes.select("ensembl_gene_id"), on="ensembl_gene_id")
    if use.aspects and part == use.part:
        facts = facts.filter(pl.col("aspect").is_in(use.aspects))
    if use.evidence and part == use.part:
        facts = facts.filter(pl.col("evidence").is_in(use.evidence))
    if use.before and part == use.part:
        # Sorted anew: how many genes share a term is also known since some day.
        facts = most_specific_first(facts.filter(pl.col("made") < use.before))
    if use.dimensions:
        facts = speaking(facts, use.dimensions, knowledge.genes)
    distinct = facts.select("ensembl_gene_id", "item").unique(maintain_order=True)
    grouped = distinct.group_by("ensembl_gene_id", maintain_order=True).agg("item")
    return dict(zip(grouped["ensembl_gene_id"], grouped["item"].to_list(), strict=True))


def _part(use: PartUse, name: str, release: str, items: list[str]) -> PartOfText:
    tidy = [without_control_characters(item) for item in items[: use.max_items]]
    return PartOfText(
        use,
        name,
        release,
        known=len(items),
        items=tuple(item for item, _ in tidy if item.strip()),
        cleaned=sum(was for _, was in tidy),
    )


def _lacking(
    recipe: Recipe,
    parts: list[PartOfText],
    without_content: Mapping[str, frozenset[str]],
    gene: str,
) -> str | None:
    """What a gene lacks that the recipe requires; None if it has everything."""
    empty = {part.use.part for part in parts} - {part.use.part for part in parts if part.items}
    fall_backs = {use.part: use.otherwise for use in recipe.parts if use.otherwise}
    days = {use.part: use.before for use in recipe.parts if use.before}

    def described(name: str) -> str:
        if gene in without_content.get(name, ()):
            return f"{name} but terms without content (docs/recipes.md)"
        return f"{name} before {days[name]}" if name in days else name

    lacking = [
        described(part_name)
        for name in recipe.requires
        if name in empty
        for part_name in (name, fall_backs.get(name))
        if part_name
    ]
    return f"has no {' and no '.join(lacking)}" if lacking else None
