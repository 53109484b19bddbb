"""Gene descriptions: the text that a recipe makes of what is known about each gene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from genept.sources.archives import Archives
from genept.sources.gene_ontology import read_go_annotations, read_go_terms
from genept.store.errors import StoreError
from genept.store.lake import Lake, NewPart, Part
from genept.store.provenance import Origin
from genept.text.cache import text_sha256
from genept.text.recipes import Recipe

CountTokens = Callable[[Sequence[str]], list[int]]
"""Lengths of texts in tokens, the special tokens around a text included."""

SPECIAL_TOKENS = 2
ITEM_SEPARATOR = "; "
PART_SEPARATOR = ". "


@dataclass(frozen=True)
class Knowledge:
    """What the parts of a recipe draw on.

    Parameters
    ----------
    genes
        Table `genes`.
    go_terms
        `ensembl_gene_id` and `terms`: names, those that fewest genes share first.
    releases
        Source release of each part.
    """

    genes: pl.DataFrame
    go_terms: pl.DataFrame
    releases: dict[str, str]


def read_knowledge(archives: Archives, genes: pl.DataFrame) -> Knowledge:
    """Names and Gene Ontology terms of genes; terms are found by UniProt accession."""
    terms = read_go_terms(archives).filter(~pl.col("obsolete")).select("go_id", "name")
    of_gene = (
        genes.select("ensembl_gene_id", pl.col("uniprot_ids").alias("uniprot_id"))
        .explode("uniprot_id", empty_as_null=True)
        .drop_nulls()
        .join(read_go_annotations(archives), on="uniprot_id")
        .join(terms, on="go_id")
        .select("ensembl_gene_id", "name")
        .unique()
        .with_columns(pl.len().over("name").alias("n_genes"))
        .sort("ensembl_gene_id", "n_genes", "name")
        .group_by("ensembl_gene_id", maintain_order=True)
        .agg(pl.col("name").alias("terms"))
    )
    released = archives.catalogue.sources["pyiomica"].released
    return Knowledge(
        genes=genes,
        go_terms=of_gene,
        releases={"name": genes["reference_release"][0], "go": f"go-{released}"},
    )


def describe(knowledge: Knowledge, recipe: Recipe, count_tokens: CountTokens) -> pl.DataFrame:
    """Compose the text of every gene that has what the recipe requires.

    Returns
    -------
    pl.DataFrame
        Rows of table `gene_descriptions`.
    """
    genes = (
        knowledge.genes.filter(pl.col("biotype").is_in(recipe.biotypes))
        .join(knowledge.go_terms, on="ensembl_gene_id", how="left")
        .sort("ensembl_gene_id")
    )
    length = _token_lengths(genes, count_tokens)
    rows = []
    for gene in genes.iter_rows(named=True):
        items = {"name": [gene["name"]] if gene["name"] else [], "go": gene["terms"] or []}
        if any(not items[part] for part in recipe.requires):
            continue
        text, n_tokens, used = _compose(recipe, items, length)
        rows.append(
            {
                "recipe": recipe.id,
                "ensembl_gene_id": gene["ensembl_gene_id"],
                "symbol": gene["symbol"],
                "text": text,
                "text_sha256": text_sha256(text),
                "n_tokens": n_tokens,
                "parts": [f"{part}@{knowledge.releases[part]}" for part in used],
            }
        )
    return pl.DataFrame(rows)


def describe_genes(
    lake: Lake,
    archives: Archives,
    genes: Part,
    recipe: Recipe,
    count_tokens: Callable[[], CountTokens],
    *,
    max_genes: int | None = None,
) -> Part:
    """One recipe's part of table `gene_descriptions`, unless the lake holds it already.

    Parameters
    ----------
    count_tokens
        Opens the tokenizer; called only if there is something to describe.
    max_genes
        Describe only the first genes by id.

    Raises
    ------
    StoreError
        If no gene has what the recipe requires.
    """
    names = ("pyiomica", "minilm")
    origin = Origin(
        code=("genept.sources", "genept.text.descriptions", "genept.tables"),
        inputs={"genes": genes.sha256}
        | {name: archives.catalogue.sources[name].sha256 for name in names},
        settings={"recipe": recipe.model_dump(mode="json"), "max_genes": max_genes},
        libraries=("tokenizers",),
    )

    def compute() -> list[NewPart]:
        rows = describe(read_knowledge(archives, lake.read(genes)), recipe, count_tokens())
        if rows.is_empty():
            raise StoreError(
                f"recipe {recipe.id!r} describes no gene: none of the {genes.rows} is of biotype "
                f"{' or '.join(recipe.biotypes)} and has {' and '.join(recipe.requires)}; see "
                "genept/text/recipes.toml"
            )
        return [NewPart("gene_descriptions", rows.head(max_genes or rows.height), (recipe.id,))]

    (part,) = lake.build(f"descriptions/{recipe.id}", origin, compute)
    return part


def _token_lengths(genes: pl.DataFrame, count_tokens: CountTokens) -> dict[str, int]:
    """Tokens of every distinct name and term, special ones not included."""
    pieces = pl.concat([genes["name"], genes["terms"].explode()]).drop_nulls().unique().sort()
    return dict(
        zip(pieces, (n - SPECIAL_TOKENS for n in count_tokens(pieces.to_list())), strict=True)
    )


def _compose(
    recipe: Recipe, items: dict[str, list[str]], length: dict[str, int]
) -> tuple[str, int, list[str]]:
    """Text, its length and the parts in it; a separator is one token of its own."""
    kept: dict[str, list[str]] = {}
    n_tokens = SPECIAL_TOKENS
    for part, item in [(name, item) for name in recipe.parts for item in items[name]]:
        cost = length[item] + (1 if kept else 0)
        if kept and n_tokens + cost > recipe.max_tokens:
            break
        kept.setdefault(part, []).append(item)
        n_tokens += cost
    text = PART_SEPARATOR.join(ITEM_SEPARATOR.join(of_part) for of_part in kept.values())
    return text, n_tokens, list(kept)
