"""Schema and fields of users' parquet files, read under caps on what their footers claim."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from genept.common.errors import SourceError, get_again
from genept.datasources.download.compression import MAX_RATIO
from genept.datasources.download.streams import open_bytes

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
