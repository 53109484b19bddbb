"""What the axes of an owner's table are: genes, observations, labels, and what tells of genes.

Asked of its names, of the first values of its columns, and of the ids in a table of labels. A
column that is named like a gene is never passed over for a value that is no number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import polars as pl

from genept.collections.layouts import TextColumn, TextTable, is_gene_annotation
from genept.sources.advice import audience, option, setting
from genept.sources.errors import LONGEST, SourceError, listed
from genept.sources.orientation import Axis, gene_axis, is_code
from genept.sources.r_names import r_names

_MOST: Final = 0.5
"""Share of the names of an axis that the ids of labels must name to tell what it is."""
_FEW: Final = 5
_SAMPLED: Final = 500
_NARROW: Final = 3
"""Columns of numbers that a long table has, at most."""
_THOUSANDS: Final = re.compile(r"[+-]?\d{1,3}([,.' ]\d{3})+([.,]\d+)?")
_OF_METADATA: Final = {True: "--metadata", False: "`metadata` in its sidecar"}


@dataclass(frozen=True)
class GeneAxis:
    """The axis that names genes, and why."""

    axis: Axis
    because: str


@dataclass(frozen=True)
class JoinedIds:
    """The column of a table of labels that holds the ids of observations.

    Parameters
    ----------
    n_shared
        How many observations it names.
    others
        Its ids that are no observation's.
    """

    column: str
    spelling: Literal["exact", "r_names"]
    n_shared: int
    others: tuple[str, ...]


def axis_of_genes(
    table: TextTable,
    declared: Axis | None,
    is_gene: Callable[[str], bool],
    labels: pl.DataFrame | None,
    names: tuple[str, str],
) -> GeneAxis:
    """Tell which axis names genes: as said, the one that labels do not name, or by the names.

    Parameters
    ----------
    names
        Of the files of the matrix and of the labels.

    Raises
    ------
    SourceError
        It cannot be told, or labels and names contradict what is said.
    """
    columns = [
        name
        for name in table.columns[1:]
        if name not in table.texts or not table.texts[name].is_mostly_text
    ]
    what = names[0]
    named = {} if labels is None else _shared_ids(labels, table.rows, columns)
    if declared is None and (observations := _axis_of_observations(named)) is not None:
        genes: Axis = "rows" if observations == "columns" else "columns"
        return GeneAxis(genes, f"the labels name its {observations}")
    hint = table.axis_hint
    try:
        axis = gene_axis(table.rows, columns, is_gene, declared=declared, what=what, hint=hint)
    except SourceError as error:
        if labels is not None and not any(shared.n for shared in named.values()):
            ids = labels[labels.columns[0]].drop_nulls().to_list()
            raise SourceError(
                f"{what}: no id of the labels, {names[1]}, is the name of one of its columns or "
                f"rows: the labels have {_few(ids)}; the columns of the matrix are "
                f"{_few(columns)}, its rows {_few(table.rows)}: are the labels of "
                "another matrix?"
            ) from error
        raise SourceError(f"{error}{_remedies(table, columns, has_labels=bool(named))}") from error
    said = "as said" if declared is not None else "their names are ids or known to the reference"
    return GeneAxis(axis, said)


@dataclass(frozen=True)
class _Shared:
    """How many names of an axis are ids of the labels."""

    n: int
    share: float


def _shared_ids(
    labels: pl.DataFrame, rows: Sequence[str], columns: Sequence[str]
) -> dict[Axis, _Shared]:
    shared: dict[Axis, _Shared] = {}
    axes: tuple[tuple[Axis, Sequence[str]], ...] = (("rows", rows), ("columns", columns))
    for axis, names in axes:
        found = id_column(labels, names)
        n = found.n_shared if found else 0
        shared[axis] = _Shared(n, n / max(len(set(names)), 1))
    return shared


def _axis_of_observations(named: Mapping[Axis, _Shared]) -> Axis | None:
    """The axis that the labels name: alone, or wholly and with more of their ids than the other."""
    sides: tuple[tuple[Axis, Axis], ...] = (("rows", "columns"), ("columns", "rows"))
    for axis, other in sides if named else ():
        if named[axis].share > _MOST > named[other].share:
            return axis
        if named[axis].share == 1 and named[axis].n > named[other].n:
            return axis
    return None


def _remedies(table: TextTable, columns: Sequence[str], *, has_labels: bool) -> str:
    """What else may help where names do not tell which axis is genes."""
    if table.first_is_numbers:
        return (
            f". Its first column {table.columns[0]!r} holds numbers: if the row names were left "
            "out, write them, too (pandas: index=True; R: row.names = TRUE)"
        )
    if len(columns) < _FEW or len(columns) < len(table.texts):
        return f". {_may_be_labels(table)}"
    if not has_labels:
        return (
            f"; or give the table of its observations, whose ids tell which axis they are "
            f"({setting('metadata', 'labels.csv')})"
        )
    return ""


def _few(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:LONGEST]) for name in names[:3]) or "none"


def refuse_swapped(
    table: TextTable, labels: pl.DataFrame, is_gene: Callable[[str], bool], names: tuple[str, str]
) -> None:
    """Refuse a matrix and its labels that are given in each other's place.

    Parameters
    ----------
    names
        Of the file that should be the matrix, and of the one that should be the labels.

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


def refuse_labels(table: TextTable, passed_over: Sequence[str], what: str) -> None:
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


def refuse_long(table: TextTable, passed_over: Sequence[str], what: str) -> None:
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


def id_column(labels: pl.DataFrame, ids: Sequence[str]) -> JoinedIds | None:
    """Find the column of labels that names most observations, as they are spelled or as R does.

    Returns
    -------
    JoinedIds or None
        None: no column names any.
    """
    known = set(ids)
    best: JoinedIds | None = None
    for spelling in ("exact", "r_names"):
        for name in labels.columns:
            values = labels[name].drop_nulls().to_list()
            spelled = values if spelling == "exact" else r_names(values)
            n_shared = len(known & set(spelled))
            if n_shared > (best.n_shared if best else 0):
                pairs = zip(values, spelled, strict=True)
                others = tuple(value for value, it in pairs if it not in known)
                best = JoinedIds(name, _spelling(spelling), n_shared, others)
    return best


def of_genes(
    table: TextTable, named: Collection[str | None], labels: pl.DataFrame | None
) -> list[str]:
    """Columns of a table with genes as rows that tell of the genes, and are no observations."""
    ids = set().union(*(set(labels[name]) for name in labels.columns)) if labels is not None else ()
    return [
        name
        for name in table.columns[1:]
        if name not in named
        and name not in ids
        and (is_gene_annotation(name) or (name in table.texts and table.texts[name].is_mostly_text))
    ]


def refuse_gene_as_ids(table: TextTable, is_gene: Callable[[str], bool], what: str) -> None:
    """Refuse a table with genes as columns of which the first is a gene, so that ids are missing.

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
    table: TextTable, genes: Collection[str], options: Mapping[str, Any], what: str
) -> None:
    """Refuse columns that are named like genes and hold text, unless those genes are kept out.

    Raises
    ------
    SourceError
        There are any; names gene, row and value, and the option that keeps it out.
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
    table: TextTable, passed_over: Collection[str | None], options: Mapping[str, Any], what: str
) -> None:
    """Refuse columns of a table with genes as rows that are numbers but for some texts.

    Raises
    ------
    SourceError
        There are any; names gene, observation and value, and the option that keeps the gene out.
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


def _may_be_labels(table: TextTable) -> str:
    return (
        f"Its columns are {listed(table.columns)}: if it is the table of labels, give the matrix "
        f"as FILE, and this one as {_OF_METADATA[audience() == 'command_line']}"
    )


def _spelling(name: str) -> Literal["exact", "r_names"]:
    return "exact" if name == "exact" else "r_names"
