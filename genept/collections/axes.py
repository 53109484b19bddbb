"""Detect which axis of a user's table is genes, and which columns are labels or annotation.

Evidence are the names on both axes, the first values of the columns, and the ids in a table of
labels. A column named like a gene is never left out because of a value that is not a number.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from genept.collections.layouts import TableHead, plain_name
from genept.common import LONGEST, SourceError, audience, listed, setting
from genept.datasources.readers import Axis, gene_axis, r_names

_MOST: Final = 0.5
"""Share of an axis that the ids of labels must name for it to be the observations."""

_FEW: Final = 5

_ANNOTATION: Final = frozenset(
    {"chr", "chrom", "chromosome", "start", "end", "strand", "length", "genelength", "description"}
    | {"genetype", "genebiotype", "biotype", "entrezid", "entrezgene", "ensemblid", "symbol"}
    | {"genename", "genesymbol", "geneid", "hgncsymbol", "hgncid"}
)
"""Columns that annotate genes beside the samples, as featureCounts writes them."""


_OF_METADATA: Final = {True: "--metadata", False: "`metadata` in its sidecar"}


def is_gene_annotation(column: str) -> bool:
    """Whether a column annotates genes by its name, such as ``Chr`` or ``Length``."""
    return plain_name(column) in _ANNOTATION


@dataclass(frozen=True)
class AxisFinding:
    """The axis that names genes, and the reason."""

    axis: Axis
    because: str


@dataclass(frozen=True)
class JoinedIds:
    """The column of a table of labels that holds observation ids.

    Parameters
    ----------
    column
        Its name.
    spelling
        Whether ids are equal as they are, or after R's `make.names`.
    n_shared
        Number of observations that it names.
    others
        Its ids that are not of an observation.
    """

    column: str
    spelling: Literal["exact", "r_names"]
    n_shared: int
    others: tuple[str, ...]


def axis_of_genes(
    table: TableHead,
    declared: Axis | None,
    is_gene: Callable[[str], bool],
    labels: pl.DataFrame | None,
    names: tuple[str, str],
) -> AxisFinding:
    """Detect which axis names genes: as declared, the one that labels do not name, or by its names.

    Parameters
    ----------
    table
        Head of the table.
    declared
        The axis that the user states; None if there is no statement.
    is_gene
        Whether a name stands for a gene.
    labels
        Table of labels; None if there is none.
    names
        Names of the matrix file and of the labels file.

    Returns
    -------
    AxisFinding
        The axis and the reason.

    Raises
    ------
    SourceError
        The axis cannot be determined, or labels or names contradict the declared one.
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
        return AxisFinding(genes, f"the labels name its {observations}")
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
    reason = (
        "as stated" if declared is not None else "their names are ids or known to the reference"
    )
    return AxisFinding(axis, reason)


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
        joined = id_column(labels, names)
        n = joined.n_shared if joined else 0
        shared[axis] = _Shared(n, n / max(len(set(names)), 1))
    return shared


def _axis_of_observations(named: Mapping[Axis, _Shared]) -> Axis | None:
    """The axis that the labels name: alone, or completely and with more ids than the other."""
    sides: tuple[tuple[Axis, Axis], ...] = (("rows", "columns"), ("columns", "rows"))
    for axis, other in sides if named else ():
        if named[axis].share > _MOST > named[other].share:
            return axis
        if named[axis].share == 1 and named[axis].n > named[other].n:
            return axis
    return None


def _remedies(table: TableHead, columns: Sequence[str], *, has_labels: bool) -> str:
    """What the user can do where names do not tell which axis is genes."""
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


def id_column(labels: pl.DataFrame, ids: Sequence[str]) -> JoinedIds | None:
    """Find the column of labels that names most observations, as spelled or by R's `make.names`.

    Returns
    -------
    JoinedIds or None
        None if no column names any.
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
    table: TableHead, named: Collection[str | None], labels: pl.DataFrame | None
) -> list[str]:
    """Names of columns that annotate genes, in a table of genes × observations."""
    ids = set().union(*(set(labels[name]) for name in labels.columns)) if labels is not None else ()
    return [
        name
        for name in table.columns[1:]
        if name not in named
        and name not in ids
        and (is_gene_annotation(name) or (name in table.texts and table.texts[name].is_mostly_text))
    ]


def _may_be_labels(table: TableHead) -> str:
    return (
        f"Its columns are {listed(table.columns)}: if it is the table of labels, give the matrix "
        f"as FILE, and this one as {_OF_METADATA[audience() == 'command_line']}"
    )


def _spelling(name: str) -> Literal["exact", "r_names"]:
    return "exact" if name == "exact" else "r_names"
