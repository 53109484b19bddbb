"""Gene names out of a file that somebody has: a list or matrix as CSV or TSV, or an h5ad.

Only the names are read. Ingesting the matrix behind them is the parsers' and
`genept.collections`' business.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from genept.sources.errors import SourceError

if TYPE_CHECKING:
    import h5py

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
    import h5py

    try:
        with h5py.File(path, "r") as file:
            var = _inside(file, "var", path)
            if not isinstance(var, h5py.Group):
                raise SourceError(f"{path.name}: var is not a group; write it with anndata ≥ 0.8")
            chosen = column or str(var.attrs["_index"])
            if chosen not in list(var):  # not `in var`, which would follow a path out of it
                raise SourceError(f"{path.name}: var has no {chosen!r}; found {sorted(var)[:12]}")
            return _texts(_inside(var, chosen, path), path), f"var[{chosen!r}] of {path.name}"
    except (OSError, KeyError) as error:
        raise SourceError(f"{path.name}: is not an h5ad that can be read: {error}") from error


def _texts(item: h5py.Group | h5py.Dataset, path: Path) -> list[str]:
    """A column of text: plain, or categorical, with "" where a category is missing."""
    import h5py

    if isinstance(item, h5py.Group) and {"categories", "codes"} <= set(item):
        categories = _texts(_inside(item, "categories", path), path)
        codes = _inside(item, "codes", path)
        return [categories[code] if code >= 0 else "" for code in codes[:]]
    if not isinstance(item, h5py.Dataset) or h5py.check_string_dtype(item.dtype) is None:
        raise SourceError(f"{path.name}: {item.name} is not a column of text")
    return [str(value) for value in item.asstr()[:]]


def _inside(group: h5py.Group, name: str, path: Path) -> h5py.Group | h5py.Dataset:
    """A member that lies in the file itself; links and foreign storage can name any other."""
    import h5py

    link = group.get(name, getlink=True)
    if link is None:
        raise SourceError(f"{path.name}: is not an h5ad: {group.name} has no {name!r}")
    item = group[name] if isinstance(link, h5py.HardLink) else None
    foreign = isinstance(item, h5py.Dataset) and (item.external or item.is_virtual)
    if item is None or foreign:
        at = f"{group.name}/{name}".lstrip("/")
        raise SourceError(f"{path.name}: {at} leads out of the file; this is refused")
    return item
