"""Refusals of a user's table whose axes are not what they were taken for, with what to do.

How the axes are detected is `genept.collections.axes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import polars as pl

from genept.collections.axes import _FEW, _MOST, _may_be_labels, is_gene_annotation
from genept.collections.layouts import TableHead, TextColumn
from genept.common import SourceError, listed, option, setting
from genept.datasources.readers import is_code

_SAMPLED: Final = 500

_NARROW: Final = 3
"""Columns of numbers that a long table has, at most."""

_THOUSANDS: Final = re.compile(r"[+-]?\d{1,3}([,.' ]\d{3})+([.,]\d+)?")


def refuse_swapped(
    table: TableHead, labels: pl.DataFrame, is_gene: Callable[[str], bool], names: tuple[str, str]
) -> None:
    """Refuse a matrix and a table of labels that were given in each other's place.

    Parameters
    ----------
    table
        Head of the matrix.
    labels
        The table of labels.
    is_gene
        Whether a name stands for a gene.
    names
        Names of the matrix file and of the labels file.

    Raises
    ------
    SourceError
        The table of labels is the matrix.
    """
    ids = set(table.rows)
    names_observations = len(ids & set(labels.columns)) > max(_FEW, _MOST * len(ids))
    of_labels, of_table = (
        [name for name in columns[1 : 1 + _SAMPLED] if is_gene(name) and not is_code(name)]
        for columns in (labels.columns, table.columns)
    )
    names_genes = len(of_labels) > max(_FEW, _MOST * min(len(labels.columns), _SAMPLED))
    if names_observations or (names_genes and len(of_table) < _FEW):
        raise SourceError(
            f"{names[0]} looks like the labels, and {names[1]} like the matrix: give them the "
            f"other way round: {names[1]} is the file, with {setting('metadata', names[0])}"
        )


def refuse_labels(table: TableHead, passed_over: Sequence[str], what: str) -> None:
    """Refuse a table of labels whose ids happen to be names of genes.

    Raises
    ------
    SourceError
        It has more columns of text than of numbers.
    """
    n_texts = sum(not is_gene_annotation(name) for name in passed_over)
    if n_texts > len(table.columns) - 1 - len(passed_over):
        name, column = next(iter(table.texts.items()))
        if _THOUSANDS.fullmatch(column.value):
            raise SourceError(
                f"{what}: {_place(name, column)}, a number with thousands separators: write "
                "numbers without them"
            )
        raise SourceError(
            f"{what}: has more columns of text than of numbers. {_may_be_labels(table)}; if it is "
            f"the matrix, set {option('genes_in', 'rows')}"
        )


def refuse_long(table: TableHead, passed_over: Sequence[str], what: str) -> None:
    """Refuse a long table: one value a row, with gene and sample beside it.

    Raises
    ------
    SourceError
        It has one column of numbers and one of other names, or few columns and genes that repeat.
    """
    others = [name for name in passed_over if not is_gene_annotation(name)]
    numbers = [name for name in table.columns[1:] if name not in passed_over]
    repeats = len(table.rows) > _FEW and len(set(table.rows)) < _MOST * len(table.rows)
    if not ((others and len(numbers) == 1) or (repeats and 1 <= len(numbers) <= _NARROW)):
        return
    sample = (others or table.columns[1:])[0]
    pivot = f"index={table.columns[0]!r}, columns={sample!r}, values={numbers[-1]!r}"
    single = f"; or, if it is one sample, set {option('ignore', others)}" if others else ""
    raise SourceError(
        f"{what}: looks like a long table, with one value a row (columns {listed(table.columns)}): "
        f"write one column a sample (pandas: frame.pivot({pivot})){single}"
    )


def refuse_gene_as_ids(table: TableHead, is_gene: Callable[[str], bool], what: str) -> None:
    """Refuse a table of observations × genes whose first column is a gene, so that ids are missing.

    Raises
    ------
    SourceError
        The first column is named like a gene and holds numbers; says how to write the ids.
    """
    first = table.columns[0]
    if table.first_is_numbers and is_gene(first):
        raise SourceError(
            f"{what}: its first column {first!r} is named like a gene and holds numbers, so there "
            "is no column of observation ids: write the row names, too (pandas: to_csv(…, "
            "index=True); R: row.names = TRUE)"
        )


def refuse_texts_of_genes(
    table: TableHead, genes: Collection[str], options: Mapping[str, Any], what: str
) -> None:
    """Refuse columns that are named like genes and hold text, unless such genes are quarantined.

    Raises
    ------
    SourceError
        There are any; names gene, row and value, and the option that quarantines them.
    """
    odd = {name: column for name, column in table.texts.items() if name in genes}
    if odd and options.get("non_numeric") != "quarantine":
        name, column = next(iter(odd.items()))
        raise SourceError(
            f"{what}: {_place(name, column)}, which is no number, and {name!r} is a gene"
            f"{_and_more(odd)}: correct it; or set {option('non_numeric', 'quarantine')} to keep "
            "such genes out and count them; or, if it is no expression, set "
            f"{option('ignore', list(odd)[:20])}"
        )


def refuse_texts_of_observations(
    table: TableHead, passed_over: Collection[str | None], options: Mapping[str, Any], what: str
) -> None:
    """Refuse columns of a table of genes × observations that are numbers except for some texts.

    Raises
    ------
    SourceError
        There are any; names gene, observation and value, and the option that quarantines the gene.
    """
    odd = {name: column for name, column in table.texts.items() if name not in passed_over}
    if odd and options.get("non_numeric") != "quarantine":
        name, column = next(iter(odd.items()))
        raise SourceError(
            f"{what}: {_place(name, column)}, which is no number{_and_more(odd)}: correct it; or "
            f"set {option('non_numeric', 'quarantine')} to keep such genes out and count them; or, "
            f"if it is no observation, set {option('ignore', list(odd)[:20])}"
        )


def _place(name: str, column: TextColumn) -> str:
    value = column.value[:40]
    return f"row {column.row[:40]!r} (line {column.line}), column {name!r} has {value!r}"


def _and_more(odd: Mapping[str, TextColumn]) -> str:
    rest = list(odd)[1:]
    return f" (and {len(rest)} more such columns: {listed(rest)})" if rest else ""
