"""Gene names out of a file that somebody has: a list or matrix as CSV or TSV, or an h5ad.

Only the names are read. Ingesting the matrix behind them is the parsers' and
`genept.collections`' business.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from genept.sources.errors import SourceError
from genept.sources.hdf5 import at_path, open_hdf5, refuse_foreign
from genept.sources.hdf5_frames import AnnotationTable

_NAMED = ("gene", "genes", "symbol", "gene_symbol", "gene_name", "gene_id", "ensembl_gene_id")


def read_gene_names(path: Path, column: str | None = None) -> tuple[list[str], str]:
    """The gene names of a file, and where they were found.

    Parameters
    ----------
    column
        Column (or field of an h5ad's `var`) with the names. Without it: the index of `var`; or
        a column with a usual name; or the first column; or, of a matrix that is wider than it
        is long, its header.

    Raises
    ------
    SourceError
        The file has no such column, or is not a format that is read here.
    """
    suffixes = path.name.removesuffix(".gz").lower()
    if suffixes.endswith(".h5ad"):
        return _from_h5ad(path, column)
    if suffixes.endswith((".csv", ".tsv", ".txt", ".tab")):
        return _from_table(path, "," if suffixes.endswith(".csv") else "\t", column)
    raise SourceError(f"{path.name}: expected .csv, .tsv, .txt or .h5ad")


def _from_table(path: Path, separator: str, column: str | None) -> tuple[list[str], str]:
    try:
        table = pl.read_csv(
            path, separator=separator, infer_schema=False, truncate_ragged_lines=False
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(f"{path.name}: {str(error).strip().splitlines()[0]}") from error
    if table.width and table.columns[0].lstrip().startswith("<"):
        raise SourceError(f"{path.name}: expected a table, but it begins with a tag, as HTML does")
    if column is not None and column not in table.columns:
        raise SourceError(f"{path.name}: has no column {column!r}; found {table.columns[:12]}")
    usual = next((name for name in table.columns if name.lower() in _NAMED), None)
    if column is None and usual is None and table.width > max(table.height, 50):
        return table.columns[1:], f"the header of {path.name}"
    chosen = column or usual or table.columns[0]
    return table[chosen].fill_null("").to_list(), f"column {chosen!r} of {path.name}"


def _from_h5ad(path: Path, column: str | None) -> tuple[list[str], str]:
    with open_hdf5(path) as file:
        refuse_foreign(file)
        var = AnnotationTable(at_path(file, "var"))
        chosen = column or var.index
        return var.texts(chosen).fill_null("").to_list(), f"var[{chosen!r}] of {path.name}"
