"""Frames and batches to parquet files that keep what `genept.schema.tables` declares.

Casting, sorting, key checks and the physical layout. Where the files go is the
lake's and the release's business; bounds and patterns are `validation`'s.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from genept.common.errors import StoreError
from genept.schema.columns import Column, Table
from genept.schema.tables import SCHEMA_VERSION

if TYPE_CHECKING:
    from typing_extensions import Buffer

ROW_GROUP_BYTES = 16 * 2**20
"""Aim for row groups of this size in memory: they set what streaming readers need."""

VECTOR_GROUP_BYTES = 128 * 2**10
"""For vectors: what one vector costs to whoever reads it alone from S3, beside the footer."""

Rows: TypeAlias = pl.DataFrame | pa.Table | Iterable[pa.RecordBatch]
"""What a table can be written from. Batches must come sorted by key; frames are sorted here."""

Key: TypeAlias = tuple[object, ...]
TEXT_TYPES = frozenset({pa.string(), pa.large_string(), pa.string_view()})


class TableContractError(StoreError):
    """Rows do not keep their table's declaration."""


@dataclass(frozen=True)
class WrittenFile:
    """A finished local parquet file."""

    path: Path
    sha256: str
    bytes: int
    rows: int


def write_parquet(
    path: Path,
    table: Table,
    rows: Rows,
    dimension: int | None = None,
    partition: tuple[str, ...] = (),
) -> WrittenFile:
    """Write rows as one parquet file; a frame of the same rows gives the same bytes.

    Parameters
    ----------
    partition
        Values that the table's partition columns must have in every row; none: any.

    Raises
    ------
    TableContractError
        If columns are missing, extra or of another type, a required value is
        null, keys are out of order or doubled, or a row belongs to another
        partition. No file is left then.
    """
    schema = table.schema(dimension)
    schema = schema.with_metadata(schema.metadata | {b"schema_version": SCHEMA_VERSION.encode()})
    n_rows = 0
    try:
        parts = (one for one in _conforming(table, schema, rows, partition) if one.num_rows)
        first = list(islice(parts, 1))
        layout = _layout(table, first[0] if first else schema.empty_table())
        with _HashedFile(path) as file, pq.ParquetWriter(file, schema, **layout) as writer:
            for part in chain(first, parts):
                per_row = max(1, part.nbytes // part.num_rows)
                writer.write_table(part, row_group_size=max(1, _group_bytes(table) // per_row))
                n_rows += part.num_rows
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return WrittenFile(path, file.sha256, path.stat().st_size, n_rows)


class _HashedFile(io.BufferedWriter):
    """A new file that hashes what it is given: nothing needs to be read again."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path, "wb"))
        self._digest = hashlib.sha256()

    def write(self, content: Buffer, /) -> int:
        self._digest.update(content)
        return super().write(content)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def _layout(table: Table, rows: pa.Table) -> dict[str, Any]:
    """Encodings and compression by column; measured in tests/bench/bench_release.py.

    Vectors are noise to a compressor: zstd saves a twelfth of them, byte-stream-split a
    sixth, and either costs a reader more than that. Ascending positions halve as differences;
    of those, zstd finds another 4 % in cells, for a tenth of the time that writing takes.
    Continuous expression split by bytes is a fifth smaller than with a dictionary, which is built,
    found too large and thrown away, for twice the time. Counts with one are a twelfth smaller,
    and an eighth faster to read.
    """
    leaf = {
        one.name: f"{one.name}.list.element" if one.is_list else one.name for one in table.columns
    }
    flat = [one.name for one in table.columns if not one.is_list]
    vectors = {leaf[one.name] for one in table.columns if one.is_vector}
    ascending = {
        leaf[one.name] for one in table.columns if one.is_list and pa.types.is_integer(one.element)
    }
    floating = {
        leaf[one.name]
        for one in table.columns
        if one.is_list and one.is_floating and not _recur(rows[one.name])
    } - vectors
    return {
        "compression": {
            name: "none" if name in vectors | ascending else "zstd" for name in leaf.values()
        },
        "column_encoding": dict.fromkeys(ascending, "DELTA_BINARY_PACKED")
        | dict.fromkeys(floating, "BYTE_STREAM_SPLIT"),
        "use_dictionary": sorted(set(leaf.values()) - vectors - ascending - floating),
        # Row groups of vectors are many, and every bound makes the footer longer; by the rest
        # of the key the table is split, so its folders say it. Bounds of lists find no row.
        "write_statistics": [table.key[-1]] if vectors else flat,
        # A page of a vector says nothing that its row group does not.
        "write_page_index": table.vector is None,
    }


def _recur(lists: pa.ChunkedArray) -> bool:
    """Whether the same few values fill a column of lists, as counts do; its first row decides.

    So it does not depend on the batches that the rows came in.
    """
    values = lists.slice(0, 1).combine_chunks().flatten()
    return bool(len(pc.unique(values)) * 8 <= len(values) and len(values))


def _group_bytes(table: Table) -> int:
    """One gene's vector is a small read; cells and samples are read by the collection."""
    is_of_genes = table.vector is not None and table.key[-1] == "ensembl_gene_id"
    return VECTOR_GROUP_BYTES if is_of_genes else ROW_GROUP_BYTES


def _conforming(
    table: Table, schema: pa.Schema, rows: Rows, partition: tuple[str, ...]
) -> Iterator[pa.Table]:
    if isinstance(rows, pa.Table | pl.DataFrame):
        whole = _cast(table, schema, rows if isinstance(rows, pa.Table) else rows.to_arrow())
        if not _rises(_keys(table, whole)):
            whole = whole.sort_by([(name, "ascending") for name in table.key]).combine_chunks()
        parts = iter([whole])
    else:
        parts = (_cast(table, schema, pa.Table.from_batches([batch])) for batch in rows)
    last: Key | None = None
    for part in parts:
        if part.num_rows:
            last = _check_keys(table, part, last, partition)
        yield part


def _cast(table: Table, schema: pa.Schema, part: pa.Table) -> pa.Table:
    """The part as declared; columns of another kind, or empty where required, are refused."""
    missing = sorted(set(schema.names) - set(part.column_names))
    extra = sorted(set(part.column_names) - set(schema.names))
    if missing or extra:
        raise TableContractError(
            f"table {table.name!r}: missing columns {missing}, undeclared columns {extra}; "
            "genept/schema/tables declares what it holds"
        )
    arrays = []
    for column, field in zip(table.columns, schema, strict=True):
        values = part[column.name]
        _check_column(table, column, values)
        try:
            arrays.append(values.cast(field.type))
        except pa.ArrowException as error:
            where = f"table {table.name!r}, column {column.name!r}"
            raise TableContractError(f"{where}: {error}") from error
    return pa.Table.from_arrays(arrays, schema=schema).combine_chunks()


def _check_column(table: Table, column: Column, values: pa.ChunkedArray) -> None:
    where = f"table {table.name!r}, column {column.name!r}"
    if not pa.types.is_null(values.type) and _kind(values.type) != _kind(column.type):
        raise TableContractError(
            f"{where}: it is declared as {column.type_name}, these values are {values.type}"
        )
    if values.null_count and not column.nullable:
        raise TableContractError(
            f"{where}: {values.null_count} of {len(values)} values are empty, but the column is "
            "declared as required"
        )
    if column.is_list and not pa.types.is_null(values.type):
        empty = sum(chunk.flatten().null_count for chunk in values.chunks)
        if empty:
            raise TableContractError(f"{where}: {empty} of the values in its lists are empty")


def _kind(type_: pa.DataType) -> str:
    """What Arrow may convert without changing what a value says: widths, not numbers to text."""
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if isinstance(type_, pa.ListType | pa.LargeListType | pa.FixedSizeListType):
        return f"list of {_kind(type_.value_type)}"
    if pa.types.is_integer(type_) or pa.types.is_floating(type_):
        return "number"
    return "text" if type_ in TEXT_TYPES else str(type_)


def _check_keys(table: Table, part: pa.Table, last: Key | None, partition: tuple[str, ...]) -> Key:
    """The last key of rows that rise from `last` on, and all lie in `partition`."""
    keys = _keys(table, part)
    if not _rises(keys) or (last is not None and last >= keys.row(0)):
        _refuse_order(table, keys, last)
    for key in (keys.row(0), keys.row(-1)):  # sorted, and the partition leads the key
        if key[: len(partition)] != partition:
            raise TableContractError(
                f"table {table.name!r}: the row {key} does not belong to the partition {partition}"
            )
    return keys.row(-1)


def _keys(table: Table, rows: pa.Table) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(rows.select(list(table.key))))


def _rises(keys: pl.DataFrame) -> bool:
    """Whether every row is beyond the one before it."""
    if keys.is_empty():
        return True
    rises = pl.repeat(False, keys.height - 1, eager=True)
    for column in reversed(keys.get_columns()):
        before, after = column[:-1], column[1:]
        rises = (after > before) | ((after == before) & rises)
    return bool(rises.all())


def _refuse_order(table: Table, keys: pl.DataFrame, last: Key | None) -> None:
    doubled = keys.filter(keys.is_duplicated())
    repeated = doubled.row(0) if doubled.height else keys.row(0) if keys.row(0) == last else None
    if repeated is not None:
        raise TableContractError(f"table {table.name!r}: several rows have the key {repeated}")
    raise TableContractError(f"table {table.name!r}: rows are not sorted by {table.key}")
