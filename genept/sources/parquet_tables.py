"""Parser `parquet`: a column per gene and a row per observation, or a row per value.

Wide files are read in place, some rows at a time; long ones are sorted into rows
on disk first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from genept.sources.advice import get_again, option
from genept.sources.archives import Archives
from genept.sources.assembly import Matrix, assembled
from genept.sources.catalogue import Collection
from genept.sources.checked_values import MAX_EXACT
from genept.sources.errors import SourceError, listed
from genept.sources.formats import ParquetOptions
from genept.sources.members import MAX_RATIO
from genept.sources.observation_tables import wanted_fields
from genept.sources.parsed import BLOCK_ROWS, OddGene, ParsedCollection, Quarantined
from genept.sources.spool import Spool, made_once, write_panel
from genept.sources.streams import open_bytes
from genept.sources.text_matrix import PANEL_BYTES, spool_folder, spool_key
from genept.sources.text_numbers import NUMBER
from genept.sources.triplets import Buckets

_LONG_ROWS = 1 << 20
_FIELD_ROWS = 1 << 16
_ROWS, _ROWS_A_BYTE = 1 << 16, 8
"""Rows that a file may claim: each has an id, which takes some of its bytes."""
_UNPACKED = 64 << 20
_THRIFT: Final[dict[str, Any]] = {
    "thrift_string_size_limit": 64 << 20,
    "thrift_container_size_limit": 4_000_000,
}
"""Of the footer: what one text, and one list, in it may take."""
_TEXTS: Final = (pa.string(), pa.large_string())
_BYTES: Final = (pa.binary(), pa.large_binary())


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
        first = 0
        with pq.ParquetFile(self.path, pre_buffer=False) as file:
            for group in range(file.num_row_groups):
                last = first + file.metadata.row_group(group).num_rows
                if first < stop and last > start:
                    at = first
                    for batch in file.iter_batches(
                        BLOCK_ROWS, row_groups=[group], columns=list(self.genes), use_threads=False
                    ):
                        low, high = max(start - at, 0), min(stop - at, batch.num_rows)
                        if high > low:
                            yield self._block(batch.slice(low, high - low), at + low)
                        at += batch.num_rows
                first = last

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
            if self.counts and (large := exact > MAX_EXACT).any():
                row = int(large.argmax())
                raise SourceError(
                    f"{self.path.name}: row {first + row + 1}, column {name!r}: the count "
                    f"{exact[row]:,.0f} is above {MAX_EXACT:,}: float32 would round it"
                )
            values[:, at] = exact
        return csr_matrix(values)


def parse(archives: Archives, collection: Collection) -> ParsedCollection:
    """Read observations with the fields that the catalogue names; other columns are genes.

    Raises
    ------
    SourceError
        It is no parquet, was cut short, holds numbers as text, or a value twice.
    """
    options = ParquetOptions.model_validate(collection.options)
    path = archives.fetch(collection.sources[0])
    schema = read_schema(path)
    if options.layout == "long":
        return assembled(archives, collection, options, _long(archives, collection, options, path))
    by_row = options.genes if options.genes_in == "rows" else options.observations
    id_field = by_row or index_of(schema)
    if id_field not in schema.names:
        raise SourceError(f"{path.name}: has no column {id_field!r}; found {listed(schema.names)}")
    if options.genes_in == "rows":
        return assembled(
            archives, collection, options, _turned(archives, collection, options, path, id_field)
        )
    fields = [
        name
        for name in {id_field: 0} | dict.fromkeys(wanted_fields(options))
        if name in schema.names
    ]
    passed_over = {id_field, *fields, *options.ignore}
    genes = tuple(name for name in schema.names if name not in passed_over)
    frame = _fields(path, fields)
    ids = _ids(frame[id_field], path.name)
    odd = _odd_genes(path, genes, ids, schema, options)
    kept = tuple(name for name in genes if name not in odd)
    rows = WideRows(path, kept, frame.height, counts=collection.unit == "counts")
    kept_out = (*odd.values(), *_ignored(schema, options, path.name))
    found = Matrix(rows, kept, ids, frame, _stored(rows), quarantined=kept_out)
    return assembled(archives, collection, options, found)


def index_of(schema: pa.Schema) -> str:
    """Name of the column that names the rows: the index that pandas wrote, or the first column."""
    written = (schema.metadata or {}).get(b"pandas")
    try:
        columns = json.loads(written)["index_columns"] if written else []
    except (ValueError, KeyError, TypeError):
        columns = []
    named = [name for name in columns if isinstance(name, str) and name in schema.names]
    return named[0] if named else str(schema.names[0])


def is_numeric(kind: pa.DataType) -> bool:
    """Whether values of a column can be expression."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _ids(column: pl.Series, what: str) -> list[str]:
    ids: list[str | None] = column.cast(pl.String).to_list()
    if None in ids:
        raise SourceError(f"{what}: row {ids.index(None) + 1} has no id in column {column.name!r}")
    return [id_ for id_ in ids if id_ is not None]


def _odd_genes(
    path: Path,
    genes: Sequence[str],
    ids: Sequence[str],
    schema: pa.Schema,
    options: ParquetOptions,
) -> dict[str, Quarantined]:
    """Genes with values that are no numbers, by name, where the collection keeps those out.

    Raises
    ------
    SourceError
        There are any, and it does not.
    """
    odd = {}
    keeps = options.non_numeric == "quarantine"
    for name in genes:
        kind = schema.field(name).type
        if is_numeric(kind) and not keeps:
            continue
        values = pl.scan_parquet(path).select(name).collect().to_series()
        if is_numeric(kind):
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
    remark = Quarantined("file", what, "ignored_columns", detail, len(ignored))
    return (remark,) if ignored else ()


def _no_numbers(values: pl.Series) -> pl.Series:
    """Which values of a column that is not numeric are no numbers; all, if all could be."""
    if values.dtype.is_nested():
        return pl.Series([True] * len(values), dtype=pl.Boolean)
    wrong = ~values.cast(pl.String, strict=False).fill_null("").str.contains(f"^(?:{NUMBER})$")
    return wrong if wrong.any() else pl.Series([True] * len(values), dtype=pl.Boolean)


def _turned(
    archives: Archives,
    collection: Collection,
    options: ParquetOptions,
    path: Path,
    gene_field: str,
) -> Matrix:
    """Genes are rows: as many as fit are turned over, and become a panel of the spool."""
    schema = read_schema(path)
    passed_over = {gene_field, *options.ignore}
    ids = tuple(name for name in schema.names if name not in passed_over)
    for name in ids:
        kind = schema.field(name).type
        if not is_numeric(kind):
            raise SourceError(
                f"{path.name}: column {name!r} is {kind}, not numbers: if it is an observation, "
                "write it as numbers; if it tells something of the genes, set "
                f"{option('ignore', [name])}"
            )
    genes = _ids(_fields(path, [gene_field])[gene_field], path.name)
    at_once = max(1, PANEL_BYTES // (4 * max(len(ids), 1)))

    def make(folder: Path) -> None:
        widths: list[int] = []
        odd: dict[int, OddGene] = {}
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for batch in file.iter_batches(at_once, columns=list(ids), use_threads=False):
                columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in ids]
                values = np.column_stack(columns).astype(np.float64)
                first = sum(widths)
                odd |= _odd_rows(values, genes, first, ids, collection.unit, options, path.name)
                values[~np.isfinite(values)] = 0
                write_panel(folder, len(widths), [csr_matrix(values.T.astype(np.float32))])
                widths.append(len(values))
        kept = {"widths": widths, "odd": [[gene, asdict(one)] for gene, one in odd.items()]}
        (folder / "turned.json").write_text(json.dumps(kept), "utf-8")

    folder = made_once(spool_folder(archives, collection), spool_key(archives, collection), make)
    kept = json.loads((folder / "turned.json").read_text("utf-8"))
    spool = Spool(folder, (len(ids), len(genes)), tuple(kept["widths"]))
    odd = {gene: OddGene(**one) for gene, one in kept["odd"]}
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
    if unit == "counts" and (large := values > MAX_EXACT).any():
        row, column = np.argwhere(large)[0]
        raise SourceError(
            f"{what}: row {genes[first + row]!r}, column {ids[column]!r}: the count "
            f"{values[row, column]:,.0f} is above {MAX_EXACT:,}: float32 would round it"
        )
    wrong = ~np.isfinite(values)
    odd = {}
    for row in np.flatnonzero(wrong.any(axis=1)).tolist():
        column = int(wrong[row].argmax())
        place = f"row {genes[first + row]!r}, column {ids[column]!r}: the value is missing"
        if options.non_numeric == "refuse":
            raise SourceError(
                f"{what}: {place} or not finite: complete it, or set "
                f"{option('non_numeric', 'quarantine')} to keep such genes out and count them"
            )
        odd[first + row] = OddGene(int(wrong[row].sum()), place)
    return odd


def read_schema(path: Path) -> pa.Schema:
    """Read the columns of a parquet file that claims no more than its bytes can hold.

    Raises
    ------
    SourceError
        It is no parquet, was cut short or is damaged, claims too much, or has two columns of
        one name.
    """
    with open_bytes(path, None, path.name) as stream:
        head = stream.peek(4)[:4]
    if head != b"PAR1":
        raise SourceError(f"{path.name}: is no parquet file: it begins with {head!r}")
    try:
        with pq.ParquetFile(path, **_THRIFT) as file:
            _refuse_claims(file.metadata, path)
            names = file.schema_arrow.names
            if len(set(names)) != len(names):
                raise SourceError(f"{path.name}: two of its columns have one name")
            return file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise SourceError(
            f"{path.name}: is parquet that was cut short or is damaged ({error}): {get_again()}"
        ) from error


def _refuse_claims(metadata: pq.FileMetaData, path: Path) -> None:
    """Refuse a file that claims more than its bytes can hold, before any of it is unpacked."""
    size = path.stat().st_size
    if metadata.num_rows > _ROWS + _ROWS_A_BYTE * size:
        raise SourceError(
            f"{path.name}: claims {metadata.num_rows:,} rows in {size:,} bytes: refused as damage "
            "or a bomb"
        )
    unpacked = 0
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        columns = [group.column(at) for at in range(group.num_columns)]
        unpacked += sum(max(column.total_uncompressed_size, 0) for column in columns)
        if min([group.num_rows, *(column.total_compressed_size for column in columns)]) < 0:
            raise SourceError(f"{path.name}: is parquet that is damaged: {get_again()}")
    if unpacked > _UNPACKED + MAX_RATIO * size:
        raise SourceError(
            f"{path.name}: claims to unpack to {unpacked:,} bytes from {size:,} (cap: "
            f"{MAX_RATIO}:1): refused as a decompression bomb"
        )


def _fields(path: Path, fields: Sequence[str]) -> pl.DataFrame:
    """The columns of ids and labels, held against what the file can hold.

    Text is read as a dictionary first: one long value that many rows refer to is found out before
    it is copied for each of them.
    """
    most, total, parts = _UNPACKED + MAX_RATIO * path.stat().st_size, 0, list[pl.DataFrame]()
    schema = read_schema(path)
    for name in fields:
        kind = schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if pa.types.is_nested(kind) or pa.types.is_null(kind) or kind in _BYTES:
            raise SourceError(
                f"{path.name}: column {name!r} is {kind}, expected text or numbers: write it as "
                "text"
            )
    with pq.ParquetFile(path, pre_buffer=False, read_dictionary=list(fields), **_THRIFT) as file:
        for batch in file.iter_batches(_FIELD_ROWS, columns=list(fields), use_threads=False):
            for column in filter(lambda it: pa.types.is_dictionary(it.type), batch.columns):
                if column.dictionary.type in _TEXTS:
                    lengths = pc.binary_length(column.dictionary).take(column.indices)
                    total += pc.sum(lengths).as_py() or 0
            if total > most:
                raise SourceError(
                    f"{path.name}: its ids and labels take more than {most:,} bytes: refused as a "
                    "bomb"
                )
            parts.append(_plain(batch))
    if not parts:
        raise SourceError(f"{path.name}: has no rows: was it cut short?")
    return pl.concat(parts)


def _plain(batch: pa.RecordBatch) -> pl.DataFrame:
    columns = [
        column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        for column in batch.columns
    ]
    table = pa.Table.from_arrays(columns, names=batch.schema.names)
    return pl.DataFrame(pl.from_arrow(table))


def _stored(rows: WideRows) -> NDArray[np.int64]:
    counts = [np.diff(block.indptr) for block in rows.blocks()]
    return np.concatenate([np.empty(0, np.int64), *counts]).astype(np.int64)


def _long(
    archives: Archives, collection: Collection, options: ParquetOptions, path: Path
) -> Matrix:
    """Observation, gene, value: names in order of appearance, values sorted on disk."""
    id_field, gene_field = options.observations, options.genes
    if id_field is None or gene_field is None:
        raise SourceError(
            f"a long table needs {option('observations', 'sample')} and {option('genes', 'gene')}"
        )
    lazy = pl.scan_parquet(path)
    known = lazy.collect_schema()
    for name in (id_field, gene_field, options.value):
        if name not in known:
            raise SourceError(f"{path.name}: has no column {name!r}; found {listed(known.names())}")
    if not known[options.value].is_numeric():
        raise SourceError(f"{path.name}: column {options.value!r} is text, not numbers")
    wanted = [name for name in wanted_fields(options) if name in known]
    frame = _distinct(lazy, id_field, [pl.col(name).first() for name in wanted])
    genes = _distinct(lazy, gene_field, [])[gene_field].to_list()
    ids = frame[id_field].to_list()
    _refuse_varying(lazy, id_field, wanted, path)

    def make(folder: Path) -> None:
        n = lazy.select(pl.len()).collect().item()
        buckets = Buckets(folder, (len(ids), len(genes)), n)
        for batch in _batches(path, (id_field, gene_field, options.value)):
            rows = _positions(batch[id_field], ids)
            columns = _positions(batch[gene_field], genes)
            largest = batch[options.value].cast(pl.Float64).max()
            if collection.unit == "counts" and isinstance(largest, float) and largest > MAX_EXACT:
                raise SourceError(
                    f"{path.name}: {options.value!r} holds the count {largest:,.0f}, above "
                    f"{MAX_EXACT:,}: float32 would round it"
                )
            values = batch[options.value].cast(pl.Float32)
            if values.null_count() or not values.is_finite().all():
                raise SourceError(
                    f"{path.name}: {options.value!r} holds missing or infinite values"
                )
            buckets.add(rows, columns, values.to_numpy())
        write_panel(folder, 0, buckets.blocks(path.name))

    folder = made_once(spool_folder(archives, collection), spool_key(archives, collection), make)
    spool = Spool(folder, (len(ids), len(genes)), (len(genes),))
    return Matrix(spool, genes, ids, frame, spool.stored())


def _distinct(lazy: pl.LazyFrame, name: str, also: Sequence[pl.Expr]) -> pl.DataFrame:
    grouped = lazy.group_by(pl.col(name).cast(pl.String), maintain_order=True).agg(*also)
    frame = grouped.collect()
    if frame[name].null_count():
        raise SourceError(f"column {name!r} is empty in some rows")
    return frame


def _refuse_varying(lazy: pl.LazyFrame, id_field: str, wanted: Sequence[str], path: Path) -> None:
    for name in wanted:
        counts = lazy.group_by(id_field).agg(pl.col(name).n_unique().alias("n"))
        varying = counts.filter(pl.col("n") > 1).collect()
        if varying.height:
            raise SourceError(
                f"{path.name}: {name!r} has several values for {varying[id_field][0]!r}"
            )


def _batches(path: Path, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(_LONG_ROWS, columns=list(columns)):
            yield pl.DataFrame(batch)


def _positions(names: pl.Series, known: list[str]) -> NDArray[np.int64]:
    kind = pl.Enum(known)
    return names.cast(pl.String).cast(kind).to_physical().cast(pl.Int64).to_numpy()
