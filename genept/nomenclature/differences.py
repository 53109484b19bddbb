"""Two references side by side: which genes were renamed, merged, lost, or moved to another id."""

from __future__ import annotations

from typing import Final

import polars as pl

CHANGES: Final = ("renamed", "ensembl_changed", "merged", "lost", "gained")


def reference_differences(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """What changed between two references, gene by gene.

    Parameters
    ----------
    before, after
        hgnc_id, symbol, ensembl_gene_id, previous_symbols, aliases; one row per approved
        gene. Genes without HGNC id are not compared.

    Returns
    -------
    pl.DataFrame
        change, hgnc_id, symbol_before, symbol_after, ensembl_before, ensembl_after. A gene
        that is gone, but whose symbol one gene alone now lists among its former or other
        names, was ``merged`` into that gene.
    """
    columns = ["hgnc_id", "symbol", "ensembl_gene_id"]
    old = before.filter(pl.col("hgnc_id").is_not_null()).select(columns)
    new = after.filter(pl.col("hgnc_id").is_not_null()).select(columns)
    pairs = old.join(new, on="hgnc_id", how="full", coalesce=True, suffix="_after")
    stays = pl.col("symbol").is_not_null() & pl.col("symbol_after").is_not_null()
    gone = pairs.filter(pl.col("symbol_after").is_null()).select(columns)
    merged = gone.join(_heirs(after), on="symbol", how="left")
    return (
        pl.concat(
            [
                _rows(
                    "renamed", pairs.filter(stays & (pl.col("symbol") != pl.col("symbol_after")))
                ),
                _rows("ensembl_changed", pairs.filter(stays & _moved())),
                _rows("merged", merged.filter(pl.col("symbol_after").is_not_null())),
                _rows("lost", merged.filter(pl.col("symbol_after").is_null())),
                _rows("gained", pairs.filter(pl.col("symbol").is_null())),
            ]
        )
        .sort("hgnc_id")
        .sort("change", maintain_order=True)
    )


def retired_successors(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Ensembl ids that a gene no longer has, and the one id that took their place.

    Only one-to-one: the gene is the same by HGNC id, the old id was its alone and is nobody's
    today, and neither the old nor the new id takes part in another such change.

    Returns
    -------
    pl.DataFrame
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
    """Which collections the changes concern.

    Parameters
    ----------
    mapping
        Table `gene_mapping`.

    Returns
    -------
    pl.DataFrame
        collection_id, change, n_inputs and the share of expression behind them.
    """
    ids = differences.select(
        "change", pl.concat_list("ensembl_before", "ensembl_after").alias("ensembl_gene_id")
    ).explode("ensembl_gene_id", empty_as_null=True)
    return (
        mapping.join(ids.drop_nulls().unique(), on="ensembl_gene_id")
        .group_by("collection_id", "change")
        .agg(pl.len().alias("n_inputs"), pl.col("expression_share").sum())
        .sort("collection_id", "change")
    )


def _moved() -> pl.Expr:
    return pl.col("ensembl_gene_id").ne_missing(pl.col("ensembl_gene_id_after"))


def _heirs(genes: pl.DataFrame) -> pl.DataFrame:
    """The one gene that lists a name among its previous symbols or aliases."""
    listed = genes.select(
        pl.concat_list("previous_symbols", "aliases").alias("symbol"),
        pl.col("symbol").alias("symbol_after"),
        pl.col("ensembl_gene_id").alias("ensembl_gene_id_after"),
    )
    return (
        listed.explode("symbol", empty_as_null=True)
        .drop_nulls("symbol")
        .unique()
        .filter(pl.col("symbol").is_unique())
    )


def _rows(change: str, pairs: pl.DataFrame) -> pl.DataFrame:
    return pairs.select(
        pl.lit(change).alias("change"),
        "hgnc_id",
        pl.col("symbol").alias("symbol_before"),
        "symbol_after",
        pl.col("ensembl_gene_id").alias("ensembl_before"),
        pl.col("ensembl_gene_id_after").alias("ensembl_after"),
    )
