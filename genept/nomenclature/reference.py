"""A gene reference: known genes, everything that is claimed about their names, and its changes.

References are made in `genept.nomenclature.starter` and `genept.nomenclature.snapshots`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import polars as pl

from genept.datasources import GENCODE_COLUMNS
from genept.nomenclature.names import CLAIM_SCHEMA, claims_of, gene_claims, name_index
from genept.nomenclature.publishers import gencode_rows

CHANGES: Final = ("renamed", "ensembl_changed", "merged", "lost", "gained")


@dataclass(frozen=True)
class Reference:
    """Genes, and everything that is claimed about their names.

    Parameters
    ----------
    release
        Name of the reference, such as ``hgnc-2026-06-25+gencode-48``.
    genes
        One row per approved gene: hgnc_id, symbol, ensembl_gene_id, entrez_id, aliases,
        previous_symbols, and further columns of the source.
    further
        Claims beyond the genes' own records, as `names.CLAIM_SCHEMA`.
    annotation
        GENCODE's genes as `read_gencode_genes` returns them; None if none were joined.
    authority
        Name of the source of `genes` in evidence; None: the release.
    """

    release: str
    genes: pl.DataFrame
    further: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=CLAIM_SCHEMA))
    annotation: pl.DataFrame | None = None
    authority: str | None = None

    @cached_property
    def index(self) -> pl.DataFrame:
        """The name index of all claims; see `names.name_index`."""
        claims = gene_claims(self.genes, self.authority or self.release)
        return name_index(pl.concat([claims, self.further]))

    @cached_property
    def published(self) -> pl.DataFrame:
        """The rows of table `genes`; see `published_genes`."""
        return published_genes(self.genes, self.annotation)


def published_genes(approved: pl.DataFrame, annotation: pl.DataFrame | None = None) -> pl.DataFrame:
    """The rows of table `genes`: approved genes with an Ensembl id, then GENCODE's others.

    Where HGNC gives one Ensembl id to several genes, the oldest accession keeps the
    row and the symbols of the others join its aliases.

    Parameters
    ----------
    approved
        Genes of a reference.
    annotation
        As `read_gencode_genes` returns it; without it the approved genes alone.
    """
    number = pl.col("hgnc_id").str.strip_prefix("HGNC:").cast(pl.Int64)
    others = pl.col("symbol").slice(1).over("ensembl_gene_id", mapping_strategy="join")
    named = (
        approved.filter(pl.col("ensembl_gene_id").is_not_null())
        .sort(number)
        .with_columns(pl.concat_list("aliases", others), pl.lit("hgnc").alias("symbol_source"))
        .unique("ensembl_gene_id", keep="first", maintain_order=True)
    )
    known = pl.DataFrame(schema=GENCODE_COLUMNS) if annotation is None else annotation
    rows = named.join(known, on="ensembl_gene_id", how="left", maintain_order="left")
    if annotation is None:
        return rows
    release = pl.lit(approved["reference_release"][0]).alias("reference_release")
    unnamed = gencode_rows(annotation, approved).with_columns(release)
    return pl.concat([rows, unnamed.select(rows.columns)])


def older_claims(before: pl.DataFrame, after: pl.DataFrame, source: str) -> pl.DataFrame:
    """Return what an older snapshot claims: symbols and Ensembl ids that genes no longer have.

    A symbol that a gene had then is a previous symbol of it today, whether or not the publisher
    lists it. An id is claimed only where exactly one id replaced it.

    Parameters
    ----------
    before, after
        The genes of the older and of today's reference.
    source
        Name of the snapshot in evidence.

    Returns
    -------
    polars.DataFrame
        Claims, as `names.CLAIM_SCHEMA`.
    """
    renamed = reference_differences(before, after).filter(pl.col("change") == "renamed")
    of_today = renamed.select(
        "symbol_before", symbol="symbol_after", ensembl_gene_id="ensembl_after"
    )
    retired = retired_successors(before, after)
    return pl.concat(
        [
            claims_of(of_today, "previous", "symbol_before", source),
            claims_of(retired, "retired_successor", "retired", source),
        ]
    )


def reference_differences(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Compare two references, gene by gene.

    Parameters
    ----------
    before, after
        hgnc_id, symbol, ensembl_gene_id, previous_symbols, aliases; one row per approved gene.
        Genes without an HGNC id are not compared.

    Returns
    -------
    polars.DataFrame
        change (one of `CHANGES`), hgnc_id, symbol_before, symbol_after, ensembl_before,
        ensembl_after. A gene that is gone, and whose symbol exactly one gene now lists among its
        previous symbols or aliases, was ``merged`` into that gene.
    """
    columns = ["hgnc_id", "symbol", "ensembl_gene_id"]
    old, new = (genes.select(columns).drop_nulls("hgnc_id") for genes in (before, after))
    pairs = old.join(new, on="hgnc_id", how="full", coalesce=True, suffix="_after")
    was, is_now = pl.col("symbol").is_not_null(), pl.col("symbol_after").is_not_null()
    other_id = pl.col("ensembl_gene_id").ne_missing(pl.col("ensembl_gene_id_after"))
    merged = pairs.filter(~is_now).select(columns).join(_heirs(after), on="symbol", how="left")
    changes = {
        "renamed": pairs.filter(was & is_now & (pl.col("symbol") != pl.col("symbol_after"))),
        "ensembl_changed": pairs.filter(was & is_now & other_id),
        "merged": merged.filter(is_now),
        "lost": merged.filter(~is_now),
        "gained": pairs.filter(~was),
    }
    return pl.concat(
        genes.select(
            change=pl.lit(change),
            hgnc_id="hgnc_id",
            symbol_before="symbol",
            symbol_after="symbol_after",
            ensembl_before="ensembl_gene_id",
            ensembl_after="ensembl_gene_id_after",
        )
        for change, genes in changes.items()
    ).sort("change", "hgnc_id")


def retired_successors(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Return Ensembl ids that a gene no longer has, and the id that replaced each.

    Only one-to-one replacements: the gene is the same by HGNC id, no other gene had the old id or
    has it today, and neither id takes part in another replacement.

    Parameters
    ----------
    before, after
        As for `reference_differences`.

    Returns
    -------
    polars.DataFrame
        `retired`, `ensembl_gene_id`, `symbol` (today's).
    """
    moved = reference_differences(before, after).filter(
        pl.col("change") == "ensembl_changed",
        pl.col("ensembl_before").is_not_null() & pl.col("ensembl_after").is_not_null(),
    )
    in_use = after["ensembl_gene_id"].drop_nulls().implode()
    ids = before["ensembl_gene_id"].drop_nulls()
    shared = ids.filter(ids.is_duplicated()).implode()
    return moved.filter(
        ~pl.col("ensembl_before").is_in(in_use),
        ~pl.col("ensembl_before").is_in(shared),
        ~pl.col("ensembl_after").is_in(moved["ensembl_before"].implode()),
        pl.col("ensembl_after").is_unique(),
    ).select(retired="ensembl_before", ensembl_gene_id="ensembl_after", symbol="symbol_after")


def touched_collections(differences: pl.DataFrame, mapping: pl.DataFrame) -> pl.DataFrame:
    """Return the collections that changes of the reference concern.

    Parameters
    ----------
    differences
        As `reference_differences` returns them.
    mapping
        Table `gene_mapping`.

    Returns
    -------
    polars.DataFrame
        collection_id, change, n_inputs, and expression_share of those inputs.
    """
    ids = differences.select(
        "change", ensembl_gene_id=pl.concat_list("ensembl_before", "ensembl_after")
    ).explode("ensembl_gene_id", empty_as_null=True)
    return (
        mapping.join(ids.drop_nulls().unique(), on="ensembl_gene_id")
        .group_by("collection_id", "change")
        .agg(pl.len().alias("n_inputs"), pl.col("expression_share").sum())
        .sort("collection_id", "change")
    )


def _heirs(genes: pl.DataFrame) -> pl.DataFrame:
    """The one gene that lists a name among its previous symbols or aliases."""
    listed = genes.select(
        symbol=pl.concat_list("previous_symbols", "aliases"),
        symbol_after="symbol",
        ensembl_gene_id_after="ensembl_gene_id",
    ).explode("symbol", empty_as_null=True)
    return listed.drop_nulls("symbol").unique().filter(pl.col("symbol").is_unique())
