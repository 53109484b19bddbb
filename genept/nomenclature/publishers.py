"""What each publisher's file claims about names, given the approved genes.

Every function takes parsed rows, the genes of the reference, and what evidence calls the file;
and returns claims (`names.CLAIM_SCHEMA`). Which files make a reference is `snapshots`' business.
"""

from __future__ import annotations

import polars as pl

from genept.nomenclature.names import claims_of, gene_claims, name_index


def synonyms(info: pl.DataFrame, genes: pl.DataFrame, source: str) -> pl.DataFrame:
    """NCBI's names of genes that the reference knows by HGNC id; ids of those it does not."""
    known = genes.select("hgnc_id", "symbol", "ensembl_gene_id")
    named = info.select(
        "hgnc_id", "entrez_id", pl.concat_list("symbol", "aliases").alias("name")
    ).join(known, on="hgnc_id")
    names = named.explode("name", empty_as_null=True)
    return pl.concat(
        [
            claims_of(names, "synonym", pl.col("name"), source),
            claims_of(named, "entrez_id", pl.col("entrez_id"), source),
        ]
    )


def discontinued(history: pl.DataFrame, genes: pl.DataFrame, source: str) -> pl.DataFrame:
    """NCBI's discontinued ids and symbols, and the gene that took their place, if any."""
    heirs = genes.select("entrez_id", "symbol", "ensembl_gene_id").drop_nulls("entrez_id")
    rows = history.join(heirs, on="entrez_id", how="left")
    kind = (
        pl.when(pl.col("symbol").is_null())
        .then(pl.lit("withdrawn"))
        .otherwise(pl.lit("retired_successor"))
    )
    return pl.concat(
        claims_of(rows, kind, pl.col(name), source)
        for name in ("discontinued_entrez_id", "discontinued_symbol")
    )


def withdrawn(entries: pl.DataFrame, genes: pl.DataFrame, source: str) -> pl.DataFrame:
    """HGNC's withdrawn symbols, and the genes that took their place, if any."""
    heirs = genes.select("hgnc_id", pl.col("symbol").alias("heir"), "ensembl_gene_id")
    rows = (
        entries.explode("successors", empty_as_null=True)
        .join(heirs, left_on="successors", right_on="hgnc_id", how="left")
        .select(pl.col("symbol").alias("name"), pl.col("heir").alias("symbol"), "ensembl_gene_id")
    )
    kind = (
        pl.when(pl.col("symbol").is_null())
        .then(pl.lit("withdrawn"))
        .otherwise(pl.lit("retired_successor"))
    )
    return claims_of(rows, kind, pl.col("name"), source)


def doubled_symbols(gencode: pl.DataFrame, genes: pl.DataFrame, source: str) -> pl.DataFrame:
    """Approved symbols that two coding genes of GENCODE carry."""
    approved = pl.col("symbol").is_in(genes["symbol"].implode())
    coding = gencode.filter(pl.col("biotype") == "protein_coding", pl.col("symbol").is_not_null())
    doubled = coding.filter(pl.col("symbol").is_duplicated() & approved)
    return claims_of(doubled, "exact", pl.col("symbol"), source)


def names_in_older_table(
    older: pl.DataFrame, genes: pl.DataFrame, annotation: pl.DataFrame | None, source: str
) -> pl.DataFrame:
    """What an older gene table of Ensembl tells of ids and names that are not in use today.

    A retired id goes to the gene that carries its name today, if that is one-to-one: no other
    retired id had the name, and it is the gene's symbol, or else a previous symbol and no other
    retired id goes to the gene. A name that one id alone had, and that nobody else claims, is an
    older name of it.

    Parameters
    ----------
    older
        ensembl_gene_id, symbol.
    annotation
        The gene table of today, whose ids are in use, too.
    """
    named = genes.select("ensembl_gene_id", "symbol").drop_nulls("ensembl_gene_id")
    if annotation is not None:
        named = pl.concat([named, annotation.select("ensembl_gene_id", "symbol")])
    alive = named.unique("ensembl_gene_id", keep="first")
    once = older.select("ensembl_gene_id", name="symbol").drop_nulls("name").unique()
    in_use = once.filter(pl.col("name").is_unique()).join(alive, on="ensembl_gene_id")
    gone = (
        once.join(alive, on="ensembl_gene_id", how="anti")
        .filter(pl.col("name").is_unique())
        .rename({"ensembl_gene_id": "retired"})
        .join(_symbols_of_today_and_before(genes), on="name")
        .filter((pl.col("name") == pl.col("symbol")) | pl.col("ensembl_gene_id").is_unique())
    )
    return pl.concat(
        [
            claims_of(gone, "retired_successor", pl.col("retired"), source),
            claims_of(in_use, "older_name", pl.col("name"), source),
        ]
    )


def _symbols_of_today_and_before(genes: pl.DataFrame) -> pl.DataFrame:
    """Approved and previous symbols that mean one gene: name, symbol, ensembl_gene_id."""
    settled = name_index(gene_claims(genes, "")).filter(
        pl.col("outcome").is_in(["exact", "previous"])
    )
    symbols = genes.select("ensembl_gene_id", "symbol").drop_nulls().unique("ensembl_gene_id")
    return settled.select("name", "ensembl_gene_id").join(symbols, on="ensembl_gene_id")
