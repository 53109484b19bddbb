"""Frames and batches to parquet files that keep what `genept.tables` declares.

Casting, sorting, key checks and the physical layout. Where the files go is the
lake's and the release's business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from genept.declaration import Table
from genept.store.errors import StoreError

ROW_GROUP_BYTES = 16 * 2**20
"""Aim for row groups of this size in memory: they set what streaming readers need."""

Rows: TypeAlias = pl.DataFrame | pa.Table | Iterable[pa.RecordBatch]
"""What a table can be written from. Batches must come sorted by key; frames are sorted here."""


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
    path: Path, table: Table, rows: Rows, dimension: int | None = None
) -> WrittenFile:
    """Write rows as one parquet file; same rows, same bytes.

    Raises
    ------
    TableContractError
        If columns are missing, extra or of another type, a required value is
        null, or keys are out of order or doubled.
    """
    schema = table.schema(dimension)
    n_rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_index=True) as writer:
        for batch in _conforming(table, schema, rows):
            if batch.num_rows:
                per_row = max(1, batch.nbytes // batch.num_rows)
                writer.write_table(batch, row_group_size=max(1, ROW_GROUP_BYTES // per_row))
            n_rows += batch.num_rows
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return WrittenFile(path, digest, path.stat().st_size, n_rows)


def _conforming(table: Table, schema: pa.Schema, rows: Rows) -> Iterator[pa.Table]:
    if isinstance(rows, pa.Table | pl.DataFrame):
        whole = rows if isinstance(rows, pa.Table) else rows.to_arrow()
        _require_columns(table, schema, whole.column_names)
        parts: Iterable[pa.Table] = [whole.sort_by([(name, "ascending") for name in table.key])]
    else:
        parts = (pa.Table.from_batches([batch]) for batch in rows)
    last: tuple[object, ...] | None = None
    for part in parts:
        _require_columns(table, schema, part.column_names)
        conforming = _cast(table, schema, part)
        last = _require_rising_keys(table, conforming, last)
        yield conforming


def _require_columns(table: Table, schema: pa.Schema, names: list[str]) -> None:
    missing = sorted(set(schema.names) - set(names))
    extra = sorted(set(names) - set(schema.names))
    if missing or extra:
        raise TableContractError(
            f"table {table.name!r}: missing columns {missing}, undeclared columns {extra}; "
            "genept/tables.py declares what it holds"
        )


def _cast(table: Table, schema: pa.Schema, part: pa.Table) -> pa.Table:
    part = part.select(schema.names)
    for field in schema:
        nulls = part[field.name].null_count
        if nulls and not field.nullable:
            raise TableContractError(
                f"table {table.name!r}, column {field.name!r}: {nulls} of {part.num_rows} values "
                "are empty, but the column is declared as required"
            )
    try:
        return part.cast(schema).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise TableContractError(f"table {table.name!r}: {error}") from error


def _require_rising_keys(
    table: Table, part: pa.Table, last: tuple[object, ...] | None
) -> tuple[object, ...] | None:
    if not part.num_rows:
        return last
    keys = pl.DataFrame(pl.from_arrow(part.select(list(table.key))))
    if not keys.equals(keys.sort(table.key)) or (last is not None and last >= keys.row(0)):
        raise TableContractError(f"table {table.name!r}: rows are not sorted by {table.key}")
    doubled = keys.filter(keys.is_duplicated())
    if doubled.height:
        raise TableContractError(
            f"table {table.name!r}: {doubled.height} rows share a key, such as {doubled.row(0)}"
        )
    return keys.row(-1)
