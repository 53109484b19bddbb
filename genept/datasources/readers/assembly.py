"""From a matrix and its names to a parsed collection: fields, labels, responses, accounting.

Also some rows or genes of published expression; what to leave out is decided by the caller.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from genept.common import SourceError, listed, option
from genept.datasources.catalogue import Collection
from genept.datasources.download import Archives
from genept.datasources.formats import JoinedOptions
from genept.datasources.readers.metadata import Reason, fields_by_id, read_columns
from genept.datasources.readers.observations import (
    ObservationTable,
    observation_table,
    read_responses,
    wanted_fields,
)
from genept.datasources.readers.parsed import (
    BLOCK_ROWS,
    ExpressionRows,
    Mask,
    OddGene,
    ParsedCollection,
    Quarantined,
    distinct_inputs,
)


@dataclass(frozen=True, eq=False)
class SelectedRows:
    """The rows `kept` of `whole`, in their published order; `kept` rises."""

    whole: ExpressionRows
    kept: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int]:
        """Observations × input genes."""
        return len(self.kept), self.whole.shape[1]

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[csr_matrix]:
        """Rows `start` to `stop` of those that were kept; long gaps are not read."""
        stop = self.shape[0] if stop is None else min(stop, self.shape[0])
        wanted = self.kept[start:stop]
        if not len(wanted):
            return
        for run in np.split(wanted, np.flatnonzero(np.diff(wanted) > BLOCK_ROWS) + 1):
            first = int(run[0])
            for block in self.whole.blocks(first, int(run[-1]) + 1):
                low, high = np.searchsorted(run, (first, first + block.shape[0]))
                if high - low == block.shape[0]:
                    yield block
                elif high > low:
                    yield block[run[low:high] - first]
                first += block.shape[0]


def selected(whole: ExpressionRows, keep: NDArray[np.bool_]) -> ExpressionRows:
    """Rows of `whole` where `keep`; `whole` itself where that is all."""
    return whole if keep.all() else SelectedRows(whole, np.flatnonzero(keep))


@dataclass(frozen=True, eq=False)
class SelectedGenes:
    """The columns `kept` of `whole`, in their published order; `kept` rises."""

    whole: ExpressionRows
    kept: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int]:
        """Observations × input genes."""
        return self.whole.shape[0], len(self.kept)

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[csr_matrix]:
        """Rows `start` to `stop` of those genes."""
        for block in self.whole.blocks(start, stop):
            yield block[:, self.kept]


def selected_genes(
    whole: ExpressionRows, kept: Sequence[int] | NDArray[np.integer[Any]]
) -> ExpressionRows:
    """The genes `kept` of `whole`; `whole` itself where that is all."""
    genes = np.array(kept, np.int64)
    return whole if len(genes) == whole.shape[1] else SelectedGenes(whole, genes)


@dataclass(frozen=True, eq=False)
class Matrix:
    """Expression with the names of its axes, as it is in a file.

    `fields` are the publisher's that the matrix itself brings, a row per observation; `stored` is
    how many values of each are not zero; `odd` are the genes, by their position, that are kept out
    for values that are no numbers.
    """

    expression: ExpressionRows
    genes: Sequence[str]
    ids: Sequence[str]
    fields: pl.DataFrame
    stored: NDArray[np.int64]
    symbols: Sequence[str] | None = None
    entrez_ids: Sequence[str | None] | None = None
    quarantined: tuple[Quarantined, ...] = ()
    remarks: tuple[Quarantined, ...] = ()
    odd: Mapping[int, OddGene] = field(default_factory=dict)


def assembled(
    archives: Archives, collection: Collection, options: JoinedOptions, matrix: Matrix
) -> ParsedCollection:
    """Join what stands beside a matrix; keep out, with reasons, what has no place.

    Refused are tables that do not fit the matrix, and fields that are nowhere.
    """
    fields, reasons, unmatched = _joined_fields(archives, collection, options, matrix)
    for row in np.flatnonzero(matrix.stored == 0):
        reasons[row] = reasons[row] or ("empty", "every value is zero")
    what = archives.fetch(collection.sources[0]).name
    inputs = distinct_inputs(matrix.genes)
    odd = [
        Quarantined("gene", inputs[gene], "non_numeric", item.detail, item.n)
        for gene, item in matrix.odd.items()
    ]
    genes = [gene for gene in range(len(inputs)) if gene not in matrix.odd]
    if not genes:
        raise SourceError(
            f"{what}: every gene has a value that is no number, such as {inputs[0]!r}: "
            f"{matrix.odd[0].detail}"
        )
    table = observation_table(matrix.ids, fields, options, what, reasons=reasons)
    if not table.keep.any():
        raise SourceError(
            f"{what}: none of its {len(matrix.ids)} observations can be kept; the "
            f"first: {table.quarantined[0].input_id!r}: {table.quarantined[0].detail}"
        )
    responses: pl.DataFrame | None = None
    kept_out: tuple[Quarantined, ...] = ()
    if options.responses is not None:
        lines = _line_names(fields, table, options)
        responses, kept_out = read_responses(archives, collection, options.responses, lines)
    symbols, ids = matrix.symbols or matrix.genes, matrix.entrez_ids
    return ParsedCollection(
        input_genes=tuple(inputs[gene] for gene in genes),
        symbols=tuple(symbols[gene] for gene in genes),
        entrez_ids=None if ids is None else tuple(ids[gene] for gene in genes),
        observations=table.observations,
        expression=selected(selected_genes(matrix.expression, genes), table.keep),
        responses=responses,
        quarantined=(*matrix.quarantined, *odd, *table.quarantined, *unmatched, *kept_out),
        remarks=matrix.remarks,
        metadata=authors_fields(fields, matrix.ids, table.keep),
    )


def authors_fields(fields: pl.DataFrame, ids: Sequence[str], keep: Mask) -> pl.DataFrame:
    """All fields of the observations that are kept, by observation id."""
    named = [fields[name] for name in fields.columns if name not in ("", "observation_id")]
    id_ = pl.Series("observation_id", list(ids), dtype=pl.String)
    return pl.DataFrame([id_, *named]).filter(pl.Series(keep))


def _joined_fields(
    archives: Archives, collection: Collection, options: JoinedOptions, matrix: Matrix
) -> tuple[pl.DataFrame, list[Reason], tuple[Quarantined, ...]]:
    """The fields of the matrix and of its tables, a row per observation.

    Refused if both have not the same observations, unless the catalogue keeps those out.
    """
    if not options.metadata:
        return matrix.fields, [None] * len(matrix.ids), ()
    wanted = wanted_fields(options)
    if options.responses and options.responses.line_field:
        wanted.append(options.responses.line_field)
    joined, reasons, unmatched = fields_by_id(
        archives, collection, options.metadata, matrix.ids, wanted
    )
    elsewhere = {*joined.columns, *matrix.fields.columns}
    if missing := [name for name in wanted_fields(options) if name not in elsewhere]:
        tables = options.metadata
        whole = [read_columns(archives, collection, table, None) for table in tables]
        files = [archives.fetch(collection.sources[table.source]).name for table in tables]
        raise SourceError(
            f"{', '.join(files)}: has no field {missing[0]!r}; found "
            f"{listed(name for table in whole for name in table.columns)}"
        )
    without = [row for row, reason in enumerate(reasons) if reason]
    if options.unmatched == "refuse" and (without or unmatched):
        what = archives.fetch(collection.sources[0]).name
        alone = listed(matrix.ids[row] for row in without)
        others = listed(item.input_id for item in unmatched)
        raise SourceError(
            f"{what}: {len(without):,} of its {len(matrix.ids):,} observations have no row in the "
            f"metadata{f' ({alone})' if without else ''}, and {len(unmatched):,} rows of the "
            f"metadata no expression{f' ({others})' if unmatched else ''}: they must be the same; "
            f"{option('unmatched', 'quarantine')} keeps them out and counts them"
        )
    own = [name for name in matrix.fields.columns if name not in joined.columns]
    return pl.concat([matrix.fields.select(own), joined], how="horizontal"), reasons, unmatched


def split_gene_names(
    names: Sequence[str], pattern: str | None, what: str
) -> tuple[list[str], list[str | None] | None, tuple[Quarantined, ...]]:
    """Split names such as ``TSPAN6 (7105)`` into what is looked up and NCBI Gene ids."""
    if pattern is None:
        return list(names), None, ()
    matches = [re.fullmatch(pattern, name) for name in names]
    odd = [name for name, match in zip(names, matches, strict=True) if match is None]
    if len(odd) == len(names):
        raise SourceError(f"{what}: no gene fits options.gene_pattern, such as {names[0]!r}")
    detail = f"names such as {odd[:1]} are looked up whole"
    remark = Quarantined("file", what, "gene_pattern", detail, len(odd), "warned")
    symbols = [
        match["symbol"] if match else name for name, match in zip(names, matches, strict=True)
    ]
    has_ids = "entrez" in re.compile(pattern).groupindex
    entrez = [match["entrez"] if match else None for match in matches] if has_ids else None
    return symbols, entrez, (remark,) if odd else ()


def _line_names(
    fields: pl.DataFrame, table: ObservationTable, options: JoinedOptions
) -> list[tuple[str, str]]:
    """What the responses call each observation that was kept, and its id."""
    ids = table.observations["observation_id"].to_list()
    field = options.responses.line_field if options.responses else None
    if field is None:
        return [(id_, id_) for id_ in ids]
    if field not in fields.columns:
        raise SourceError(f"responses: there is no field {field!r}; found {listed(fields.columns)}")
    names = fields[field].cast(pl.String).filter(pl.Series(table.keep)).to_list()
    return [(name, id_) for name, id_ in zip(names, ids, strict=True) if name]
