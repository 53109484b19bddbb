"""Detect which axis of a user's table is genes, and which columns are labels or annotation.

Evidence are the names on both axes, the first values of the columns, and the ids in a table of
labels. A column named like a gene is never left out because of a value that is not a number.
Tables whose axes are not what they were taken for are refused, with what to do.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import polars as pl

from genept.collections.layouts import TableHead, TextColumn, plain_name
from genept.common import LONGEST, SourceError, audience, listed, option, setting
from genept.datasources.readers import Axis, gene_axis, is_code, r_names

_MOST: Final = 0.5
"""Share of an axis that the ids of labels must name for it to be the observations."""

_FEW: Final = 5

_SAMPLED: Final = 500

_NARROW: Final = 3
"""Columns of numbers that a long table has, at most."""

_THOUSANDS: Final = re.compile(r"[+-]?\d{1,3}([,.' ]\d{3})+([.,]\d+)?")

_ANNOTATION: Final = frozenset(
    {"chr", "chrom", "chromosome", "start", "end", "strand", "length", "genelength", "description"}
    | {"genetype", "genebiotype", "biotype", "entrezid", "entrezgene", "ensemblid", "symbol"}
    | {"genename", "genesymbol", "geneid", "hgncsymbol", "hgncid"}
)
"""Columns that annotate genes beside the samples, as featureCounts writes them."""

Spelling = Literal["exact", "r_names"]
_SPELLINGS: Final[tuple[Spelling, ...]] = ("exact", "r_names")


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
    spelling: Spelling
    n_shared: int
    others: tuple[str, ...]


def axis_of_genes(
    table: TableHead,
    declared: Axis | None,
    is_gene: Callable[[str], bool],
    labels: pl.DataFrame | None,
    names: tuple[str, str],
) -> tuple[Axis, str]:
    """The axis that names genes, and the reason: as declared, by the labels, or by its names.

    `names` are those of the matrix file and of the labels file. Raises `SourceError` if the axis
    cannot be determined, or labels or names contradict the declared one.
    """
    columns = [
        name
        for name in table.columns[1:]
        if name not in table.texts or not table.texts[name].is_mostly_text
    ]
    what = names[0]
    shared = {} if labels is None else _shared_ids(labels, table.rows, columns)
    if declared is None and (observations := _axis_of_observations(shared)) is not None:
        genes: Axis = "rows" if observations == "columns" else "columns"
        return genes, f"the labels name its {observations}"
    hint = table.axis_hint
    try:
        axis = gene_axis(table.rows, columns, is_gene, declared=declared, what=what, hint=hint)
    except SourceError as error:
        if labels is not None and not any(n for n, _ in shared.values()):
            ids = labels[labels.columns[0]].drop_nulls().to_list()
            raise SourceError(
                f"{what}: no id of the labels, {names[1]}, is the name of one of its columns or "
                f"rows: the labels have {_few(ids)}; the columns of the matrix are "
                f"{_few(columns)}, its rows {_few(table.rows)}: are the labels of "
                "another matrix?"
            ) from error
        raise SourceError(f"{error}{_remedies(table, columns, has_labels=bool(shared))}") from error
    reason = (
        "as stated" if declared is not None else "their names are ids or known to the reference"
    )
    return axis, reason


def _shared_ids(
    labels: pl.DataFrame, rows: Sequence[str], columns: Sequence[str]
) -> dict[Axis, tuple[int, float]]:
    """Number and share of the names of each axis that are ids of the labels."""
    axes: dict[Axis, Sequence[str]] = {"rows": rows, "columns": columns}
    joined = {axis: id_column(labels, names) for axis, names in axes.items()}
    counts = {axis: column.n_shared if column else 0 for axis, column in joined.items()}
    return {axis: (n, n / max(len(set(axes[axis])), 1)) for axis, n in counts.items()}


def _axis_of_observations(shared: Mapping[Axis, tuple[int, float]]) -> Axis | None:
    """The axis that the labels name: alone, or completely and with more ids than the other."""
    sides: tuple[tuple[Axis, Axis], ...] = (("rows", "columns"), ("columns", "rows"))
    for axis, other in sides if shared else ():
        (n, share), (n_other, share_other) = shared[axis], shared[other]
        if share > _MOST > share_other or (share == 1 and n > n_other):
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


def _may_be_labels(table: TableHead) -> str:
    is_typed = audience() == "command_line"
    return (
        f"Its columns are {listed(table.columns)}: if it is the table of labels, give the matrix "
        f"as FILE, and this one as {'--metadata' if is_typed else '`metadata` in its sidecar'}"
    )


def id_column(labels: pl.DataFrame, ids: Sequence[str]) -> JoinedIds | None:
    """The column of labels that names most observations, as spelled or by R's `make.names`."""
    known = set(ids)
    best: JoinedIds | None = None
    for spelling in _SPELLINGS:
        for name in labels.columns:
            values = labels[name].drop_nulls().to_list()
            spelled = values if spelling == "exact" else r_names(values)
            if (n_shared := len(known & set(spelled))) > (best.n_shared if best else 0):
                pairs = zip(values, spelled, strict=True)
                others = tuple(value for value, as_id in pairs if as_id not in known)
                best = JoinedIds(name, spelling, n_shared, others)
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
        and (_annotates(name) or (name in table.texts and table.texts[name].is_mostly_text))
    ]


def _annotates(column: str) -> bool:
    """Whether a column annotates genes by its name, such as ``Chr`` or ``Length``."""
    return plain_name(column) in _ANNOTATION


def refuse_swapped(
    table: TableHead, labels: pl.DataFrame, is_gene: Callable[[str], bool], names: tuple[str, str]
) -> None:
    """Refuse a matrix and a table of labels that were given in each other's place."""
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
    """Refuse a table of labels whose ids happen to be names of genes: most columns are text."""
    n_texts = sum(not _annotates(name) for name in passed_over)
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

    It has one column of numbers and one of other names, or few columns and genes that repeat.
    """
    others = [name for name in passed_over if not _annotates(name)]
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

    The message says how to write the ids.
    """
    first = table.columns[0]
    if table.first_is_numbers and is_gene(first):
        raise SourceError(
            f"{what}: its first column {first!r} is named like a gene and holds numbers, so there "
            "is no column of observation ids: write the row names, too (pandas: to_csv(…, "
            "index=True); R: row.names = TRUE)"
        )


def refuse_texts(
    odd: Mapping[str, TextColumn], options: Mapping[str, Any], what: str, *, are_genes: bool
) -> None:
    """Refuse columns of numbers with some texts, unless the genes they are of are quarantined.

    The message names gene, observation and value of the first, and the option that quarantines it.
    """
    if not odd or options.get("non_numeric") == "quarantine":
        return
    (name, column), *others = odd.items()
    rest = [other for other, _ in others]
    more = f" (and {len(rest)} more such columns: {listed(rest)})" if rest else ""
    gene = f", and {name!r} is a gene" if are_genes else ""
    raise SourceError(
        f"{what}: {_place(name, column)}, which is no number{gene}{more}: correct it; or set "
        f"{option('non_numeric', 'quarantine')} to keep such genes out and count them; or, if it "
        f"is no {'expression' if are_genes else 'observation'}, set "
        f"{option('ignore', list(odd)[:20])}"
    )


def _place(name: str, column: TextColumn) -> str:
    value = column.value[:40]
    return f"row {column.row[:40]!r} (line {column.line}), column {name!r} has {value!r}"
