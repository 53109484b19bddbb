"""Writing parquet files that conform to the declarations in `genept.schema.tables`.

Casting, sorting, key checks and physical layout. Where files are stored is decided by the lake and
the release; bounds and patterns of values are checked in `validation`.
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

from genept.common import StoreError
from genept.schema import Column, Table
from genept.schema.tables import SCHEMA_VERSION

if TYPE_CHECKING:
    from typing_extensions import Buffer

ROW_GROUP_BYTES = 16 * 2**20
"""Target size of a row group in memory, which bounds the memory of streaming readers."""

VECTOR_GROUP_BYTES = 128 * 2**10
"""The same for gene vectors: the bytes that reading a single vector from S3 takes, plus footer."""

Rows: TypeAlias = pl.DataFrame | pa.Table | Iterable[pa.RecordBatch]
"""What a table can be written from. Batches must be sorted by key; frames are sorted here."""

Key: TypeAlias = tuple[object, ...]
TEXT_TYPES = frozenset({pa.string(), pa.large_string(), pa.string_view()})


class TableContractError(StoreError):
    """Rows violate the declaration of their table."""


@dataclass(frozen=True)
class WrittenFile:
    """A finished local parquet file.

    Parameters
    ----------
    path
        The file.
    sha256
        SHA-256 of its content, as hex digits.
    bytes, rows
        Size of the file, and number of its rows.
    """

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
    """Write rows as one parquet file; frames with the same rows give the same bytes.

    Parameters
    ----------
    path
        The file to write.
    table
        Declaration of the table.
    rows
        A frame, or an iterable of batches sorted by key.
    dimension
        Length of the vectors, if the table has a vector column.
    partition
        Values that the partition columns must have in every row; any by default.

    Returns
    -------
    WrittenFile
        Path, SHA-256, size and number of rows.

    Raises
    ------
    TableContractError
        Columns are missing, extra or of another type, a required value is null, keys are out of
        order or duplicated, or a row belongs to another partition. No file is left then.
    """
    schema = table.schema(dimension)
    schema = schema.with_metadata(schema.metadata | {b"schema_version": SCHEMA_VERSION.encode()})
    n_rows = 0
    try:
        parts = (part for part in _conforming(table, schema, rows, partition) if part.num_rows)
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
    """A new file that hashes its content while it is written."""

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

    Vectors are plain: zstd saves 8 % and byte-stream-split 17 % of their size, but both slow
    reading down more. Ascending positions are delta-encoded, which halves them; zstd would save
    4 % more for 10 % of the writing time. Continuous expression is byte-stream-split, 20 % smaller
    than with a dictionary and written in half the time. Counts have a dictionary: 8 % smaller, and
    read 12 % faster.
    """
    leaf = {
        column.name: f"{column.name}.list.element" if column.is_list else column.name
        for column in table.columns
    }
    flat = [column.name for column in table.columns if not column.is_list]
    vectors = {leaf[column.name] for column in table.columns if column.is_vector}
    ascending = {
        leaf[column.name]
        for column in table.columns
        if column.is_list and pa.types.is_integer(column.element)
    }
    floating = {
        leaf[column.name]
        for column in table.columns
        if column.is_list and column.is_floating and not _recur(rows[column.name])
    } - vectors
    return {
        "compression": {
            name: "none" if name in vectors | ascending else "zstd" for name in leaf.values()
        },
        "column_encoding": dict.fromkeys(ascending, "DELTA_BINARY_PACKED")
        | dict.fromkeys(floating, "BYTE_STREAM_SPLIT"),
        "use_dictionary": sorted(set(leaf.values()) - vectors - ascending - floating),
        # Vectors have many row groups, and each bound makes the footer longer; the rest of the
        # key is in the partition. Bounds of lists do not help to find a row.
        "write_statistics": [table.key[-1]] if vectors else flat,
        # For vectors, a page index would add nothing to the bounds of the row group.
        "write_page_index": table.vector is None,
    }


def _recur(lists: pa.ChunkedArray) -> bool:
    """Whether a column of lists repeats few values, as counts do; decided by its first row.

    So the result does not depend on how the rows are split into batches.
    """
    values = lists.slice(0, 1).combine_chunks().flatten()
    return bool(len(pc.unique(values)) * 8 <= len(values) and len(values))


def _group_bytes(table: Table) -> int:
    """Gene vectors are read singly; vectors of cells and samples by collection."""
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
    """Cast a part to the declared schema; refuse other types and missing required values."""
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
    """The kind of a type; Arrow may cast within a kind, such as to another integer width."""
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if isinstance(type_, pa.ListType | pa.LargeListType | pa.FixedSizeListType):
        return f"list of {_kind(type_.value_type)}"
    if pa.types.is_integer(type_) or pa.types.is_floating(type_):
        return "number"
    return "text" if type_ in TEXT_TYPES else str(type_)


def _check_keys(table: Table, part: pa.Table, last: Key | None, partition: tuple[str, ...]) -> Key:
    """Check that keys ascend from `last` on and lie in `partition`; return the last key."""
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
    """Whether the keys are strictly ascending."""
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
