"""Parser `parquet`: a column per gene and a row per observation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import TypeAdapter
from scipy.sparse import csr_matrix

from genept.common import SourceError, listed, option
from genept.datasources.catalogue import Collection
from genept.datasources.download import Archives
from genept.datasources.formats import ParquetOptions
from genept.datasources.readers import parquet_tables
from genept.datasources.readers.assembly import Matrix, assembled
from genept.datasources.readers.observations import wanted_fields
from genept.datasources.readers.parsed import BLOCK_ROWS, OddGene, ParsedCollection, Quarantined
from genept.datasources.readers.spool import PANEL_BYTES, Spool, spooled, write_turned
from genept.datasources.readers.text_numbers import NUMBER
from genept.datasources.readers.values import refuse_rounded

_KEPT: Final = TypeAdapter(tuple[tuple[int, ...], dict[int, OddGene]])
"""Widths of the panels, and the genes that are kept out, of a table of genes in rows."""


@dataclass(frozen=True)
class WideRows:
    """The number columns `genes` of a wide parquet file."""

    path: Path
    genes: tuple[str, ...]
    n_rows: int
    counts: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Observations × input genes."""
        return self.n_rows, len(self.genes)

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[csr_matrix]:
        """Rows `start` to `stop`; only the row groups that hold them are read."""
        stop = self.n_rows if stop is None else min(stop, self.n_rows)
        with pq.ParquetFile(self.path, pre_buffer=False) as file:
            sizes = [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)]
            ends = np.cumsum(sizes)
            groups = [at for at, end in enumerate(ends) if end > start and end - sizes[at] < stop]
            first = int(ends[groups[0]]) - sizes[groups[0]] if groups else 0
            for batch in file.iter_batches(
                BLOCK_ROWS, row_groups=groups, columns=list(self.genes), use_threads=False
            ):
                low, high = max(start - first, 0), min(stop - first, batch.num_rows)
                if high > low:
                    yield self._block(batch.slice(low, high - low), first + low)
                first += batch.num_rows

    def _block(self, batch: pa.RecordBatch, first: int) -> csr_matrix:
        values = np.empty((batch.num_rows, len(self.genes)), np.float32)
        for at, name in enumerate(self.genes):
            column = batch.column(name)
            if column.null_count:
                row = first + int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
                raise SourceError(
                    f"{self.path.name}: row {row + 1}, column {name!r}: the value is missing: "
                    f"complete it, or set {option('non_numeric', 'quarantine')} to keep such "
                    "genes out and count them"
                )
            exact = column.to_numpy(zero_copy_only=False)
            if self.counts:
                refuse_rounded(
                    exact,
                    lambda row, name=name: (
                        f"{self.path.name}: row {first + row + 1}, column {name!r}"
                    ),
                )
            values[:, at] = exact
        return csr_matrix(values)


def parse_parquet(archives: Archives, collection: Collection) -> ParsedCollection:
    """Read observations with the fields that the catalogue names; other columns are genes.

    Parameters
    ----------
    archives, collection
        Downloads the source; entry of the catalogue, with the options of `ParquetOptions`.

    Returns
    -------
    ParsedCollection
        Observations × genes, whichever way the file has them.

    Raises
    ------
    SourceError
        It is no parquet, was cut short, holds numbers as text, or a value twice.
    """
    options = ParquetOptions.model_validate(collection.options)
    path = archives.fetch(collection.sources[0])
    schema = parquet_tables.read_schema(path)
    if options.layout == "long":
        matrix = parquet_tables.long_matrix(archives, collection, options, path)
        return assembled(archives, collection, options, matrix)
    by_row = options.genes if options.genes_in == "rows" else options.observations
    id_field = by_row or parquet_tables.index_of(schema)
    if id_field not in schema.names:
        raise SourceError(f"{path.name}: has no column {id_field!r}; found {listed(schema.names)}")
    if options.genes_in == "rows":
        matrix = _turned(archives, collection, options, path, id_field)
        return assembled(archives, collection, options, matrix)
    wanted = dict.fromkeys([id_field, *wanted_fields(options)])
    fields = [name for name in wanted if name in schema.names]
    passed_over = {id_field, *fields, *options.ignore}
    genes = tuple(name for name in schema.names if name not in passed_over)
    frame = parquet_tables.read_fields(path, fields)
    ids = _ids(frame[id_field], path.name)
    odd = _odd_genes(path, genes, ids, schema, options)
    kept = tuple(name for name in genes if name not in odd)
    rows = WideRows(path, kept, frame.height, counts=collection.unit == "counts")
    kept_out = (*odd.values(), *_ignored(schema, options, path.name))
    matrix = Matrix(rows, kept, ids, frame, _stored(rows), quarantined=kept_out)
    return assembled(archives, collection, options, matrix)


def _ids(column: pl.Series, what: str) -> list[str]:
    ids: list[str | None] = column.cast(pl.String).to_list()
    if None in ids:
        raise SourceError(f"{what}: row {ids.index(None) + 1} has no id in column {column.name!r}")
    return [id_ for id_ in ids if id_ is not None]


def _odd_genes(
    path: Path, genes: Sequence[str], ids: Sequence[str], schema: pa.Schema, options: ParquetOptions
) -> dict[str, Quarantined]:
    """Genes with values that are no numbers, by name; refused unless they are kept out."""
    odd = {}
    keeps = options.non_numeric == "quarantine"
    for name in genes:
        kind = schema.field(name).type
        if parquet_tables.is_numeric(kind) and not keeps:
            continue
        values = pl.scan_parquet(path).select(name).collect().to_series()
        if parquet_tables.is_numeric(kind):
            wrong = values.is_null() | ~values.cast(pl.Float64).is_finite().fill_null(value=False)
            problem = "is missing or not finite"
        else:
            wrong = _no_numbers(values)
            problem = f"is {kind}, not numbers"
        if not wrong.any():
            continue
        row = int(wrong.arg_max() or 0)
        place = f"row {ids[row]!r}: {str(values[row])[:40]!r}"
        if not keeps:
            raise SourceError(
                f"{path.name}: column {name!r} {problem}, such as {place}: if it is expression, "
                f"write it as numbers, or set {option('non_numeric', 'quarantine')} to keep such "
                "genes out and count them; if it is a label or an id, state it as label, group "
                f"or {option('observations', name)}, or set {option('ignore', [name])}"
            )
        detail = f"column {problem}; {place}"
        odd[name] = Quarantined("gene", name, "non_numeric", detail, int(wrong.sum()))
    return odd


def _ignored(schema: pa.Schema, options: ParquetOptions, what: str) -> tuple[Quarantined, ...]:
    ignored = [name for name in schema.names if name in options.ignore]
    detail = f"columns that are no expression and are not used: {listed(ignored)}"
    return (Quarantined("file", what, "ignored_columns", detail, len(ignored)),) if ignored else ()


def _no_numbers(values: pl.Series) -> pl.Series:
    """Which values of a column that is not numeric are no numbers; all, if all could be."""
    if values.dtype.is_nested():
        return pl.Series([True] * len(values), dtype=pl.Boolean)
    wrong = ~values.cast(pl.String, strict=False).fill_null("").str.contains(f"^(?:{NUMBER})$")
    return wrong if wrong.any() else pl.Series([True] * len(values), dtype=pl.Boolean)


def _turned(
    archives: Archives, collection: Collection, options: ParquetOptions, path: Path, gene_field: str
) -> Matrix:
    """Genes are rows: as many as fit are turned over, and become a panel of the spool."""
    schema = parquet_tables.read_schema(path)
    passed_over = {gene_field, *options.ignore}
    ids = tuple(name for name in schema.names if name not in passed_over)
    for name in ids:
        kind = schema.field(name).type
        if not parquet_tables.is_numeric(kind):
            raise SourceError(
                f"{path.name}: column {name!r} is {kind}, not numbers: if it is an observation, "
                "write it as numbers; if it tells something of the genes, set "
                f"{option('ignore', [name])}"
            )
    genes = _ids(parquet_tables.read_fields(path, [gene_field])[gene_field], path.name)
    at_once = max(1, PANEL_BYTES // (4 * max(len(ids), 1)))

    def make(folder: Path) -> None:
        odd: dict[int, OddGene] = {}

        def parts() -> Iterator[NDArray[np.float32]]:
            first = 0
            with pq.ParquetFile(path, pre_buffer=False) as file:
                for batch in file.iter_batches(at_once, columns=list(ids), use_threads=False):
                    columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in ids]
                    values = np.column_stack(columns).astype(np.float64)
                    odd.update(
                        _odd_rows(values, genes, first, ids, collection.unit, options, path.name)
                    )
                    values[~np.isfinite(values)] = 0
                    yield values.astype(np.float32)
                    first += len(values)

        (folder / "turned.json").write_bytes(_KEPT.dump_json((write_turned(folder, parts()), odd)))

    folder = spooled(archives, collection, make)
    widths, odd = _KEPT.validate_json((folder / "turned.json").read_bytes())
    spool = Spool(folder, (len(ids), len(genes)), widths)
    ignored = _ignored(schema, options, path.name)
    return Matrix(spool, genes, ids, pl.DataFrame(), spool.stored(), odd=odd, quarantined=ignored)


def _odd_rows(
    values: NDArray[np.float64],
    genes: Sequence[str],
    first: int,
    ids: Sequence[str],
    unit: str,
    options: ParquetOptions,
    what: str,
) -> dict[int, OddGene]:
    """Genes (rows) with values that are no numbers, by position; refused unless they are kept."""

    def place(row: int, column: int) -> str:
        return f"{what}: row {genes[first + row]!r}, column {ids[column]!r}"

    if unit == "counts":
        refuse_rounded(values, place)
    wrong = ~np.isfinite(values)
    odd = {}
    for row in np.flatnonzero(wrong.any(axis=1)).tolist():
        problem = f"{place(row, int(wrong[row].argmax()))}: the value is missing"
        if options.non_numeric == "refuse":
            raise SourceError(
                f"{problem} or not finite: complete it, or set "
                f"{option('non_numeric', 'quarantine')} to keep such genes out and count them"
            )
        odd[first + row] = OddGene(int(wrong[row].sum()), problem.removeprefix(f"{what}: "))
    return odd


def _stored(rows: WideRows) -> NDArray[np.int64]:
    counts = [np.diff(block.indptr) for block in rows.blocks()]
    return np.concatenate([np.empty(0, np.int64), *counts]).astype(np.int64)
