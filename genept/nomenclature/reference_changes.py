"""Changes between two references, and annotation releases mixed in one matrix.

Both rest on retired Ensembl ids and their successors. Refusing a matrix is
`genept.nomenclature.screening`.
"""

from __future__ import annotations

from typing import Final

import polars as pl

MIN_VERSION_CLASHES: Final = 5
"""Ids in two versions from which a matrix is refused; fewer may be slips of the publisher."""


MIN_REPLACED: Final = 20

MIN_REPLACED_LATER: Final = 0.1
"""Releases are mixed if of at least so many retired ids less than this share was replaced later
than the matrix was annotated; see `mixed_releases`."""


_NEWEST: Final = 0.99
"""Ids beyond this quantile may be strays: they do not say how new an annotation is."""


VERSIONED_ID: Final = r"^(ENSG\d{11})(?:\.(\d+))?$"
"""An Ensembl gene id and, if it is there, its version."""


def mixed_releases(rows: pl.DataFrame) -> str | None:
    """Return why the Ensembl ids of a matrix cannot be of one release of the annotation.

    No release holds an id in two versions. And Ensembl numbers ids in the order in which they are
    assigned: a release that still has a retired id has no id as new as many of the ids that
    replaced such ids later. A matrix that has both was put together from an old and a newer
    release. (59 % of those successors are newer than all ids of 10x's hg19 annotation; beside
    GENCODE 49, none.)

    Parameters
    ----------
    rows
        `MappingResult.rows`.

    Returns
    -------
    str or None
        The reason; None if there is none, or the reference knows too few retired ids to tell.
    """
    ids = rows.select(
        "outcome",
        "ensembl_gene_id",
        pl.col("input_id").str.extract(VERSIONED_ID, 1).alias("id"),
        pl.col("input_id").str.extract(VERSIONED_ID, 2).alias("version"),
    ).drop_nulls("id")
    clashes = ids.filter(pl.col("version").n_unique().over("id") > 1)["id"].unique().sort()
    if len(clashes) >= MIN_VERSION_CLASHES:
        return f"{len(clashes):,} of them occur in two versions, such as {clashes[0]}"
    number = pl.col("id").str.slice(4).cast(pl.Int64)
    heir = pl.col("ensembl_gene_id").str.slice(4).cast(pl.Int64)
    replaced = ids.filter(pl.col("outcome") == "retired_successor", heir > number)
    if replaced.height < MIN_REPLACED:
        return None
    newest = ids.select(number.quantile(_NEWEST)).item()
    later = replaced.filter(heir > newest).height
    if later >= MIN_REPLACED_LATER * replaced.height:
        return None
    retired, successor = replaced.select("id", "ensembl_gene_id").row(0)
    return (
        f"{replaced.height:,} of them were retired and replaced, such as {retired} by {successor}, "
        f"yet it has ids as new as ENSG{int(newest):011d}, when all but {later} of those were gone"
    )


CHANGES: Final = ("renamed", "ensembl_changed", "merged", "lost", "gained")


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
