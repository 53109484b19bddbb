"""Users' parquet files: schema and fields under caps on what the footer claims, and long tables.

A long table has one row per value; its values are sorted into rows of observations on disk. Wide
tables are read in `genept.datasources.readers.parquet_matrix`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from genept.common import SourceError, get_again, listed, option
from genept.datasources.catalogue import Collection
from genept.datasources.download import MAX_RATIO, Archives, open_bytes
from genept.datasources.formats import ParquetOptions
from genept.datasources.readers.assembly import Matrix
from genept.datasources.readers.observations import wanted_fields
from genept.datasources.readers.spool import Buckets, Spool, spooled, write_panel
from genept.datasources.readers.values import refuse_rounded

_FIELD_ROWS = 1 << 16

_ROWS, _ROWS_A_BYTE = 1 << 16, 8
"""Rows that a file may claim: each has an id, which takes some of its bytes."""

_UNPACKED = 64 << 20

_THRIFT: Final[dict[str, Any]] = {
    "thrift_string_size_limit": 64 << 20,
    "thrift_container_size_limit": 4_000_000,
}
"""Limits on the footer: bytes of one text, and length of one list."""

_TEXTS: Final = (pa.string(), pa.large_string())

_BYTES: Final = (pa.binary(), pa.large_binary())


def index_of(schema: pa.Schema) -> str:
    """Name of the column that names the rows: the index that pandas wrote, or the first column.

    Parameters
    ----------
    schema
        Schema of the file, with its metadata.

    Returns
    -------
    str
        A column of `schema`.
    """
    written = (schema.metadata or {}).get(b"pandas")
    try:
        columns = json.loads(written)["index_columns"] if written else []
    except (ValueError, KeyError, TypeError):
        columns = []
    named = [name for name in columns if isinstance(name, str) and name in schema.names]
    return named[0] if named else str(schema.names[0])


def is_numeric(kind: pa.DataType) -> bool:
    """Whether values of a column can be expression.

    Parameters
    ----------
    kind
        Arrow type of the column.

    Returns
    -------
    bool
        True for integers and floating-point numbers, not for truth values or decimals.
    """
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def read_schema(path: Path) -> pa.Schema:
    """Read the columns of a parquet file that claims no more than its bytes can hold.

    Parameters
    ----------
    path
        Local parquet file.

    Returns
    -------
    pa.Schema
        Names and types in the order of the file; no name occurs twice.

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


def read_fields(path: Path, fields: Sequence[str]) -> pl.DataFrame:
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
            columns = [
                column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
                for column in batch.columns
            ]
            table = pa.Table.from_arrays(columns, names=batch.schema.names)
            parts.append(pl.DataFrame(pl.from_arrow(table)))
    if not parts:
        raise SourceError(f"{path.name}: has no rows: was it cut short?")
    return pl.concat(parts)


_LONG_ROWS = 1 << 20


def long_matrix(
    archives: Archives, collection: Collection, options: ParquetOptions, path: Path
) -> Matrix:
    """Observation, gene, value: names in order of appearance, values sorted on disk."""
    id_field, gene_field = options.observations, options.genes
    what, value = path.name, options.value
    if id_field is None or gene_field is None:
        raise SourceError(
            f"a long table needs {option('observations', 'sample')} and {option('genes', 'gene')}"
        )
    lazy = pl.scan_parquet(path)
    known = lazy.collect_schema()
    for name in (id_field, gene_field, value):
        if name not in known:
            raise SourceError(f"{what}: has no column {name!r}; found {listed(known.names())}")
    if not known[value].is_numeric():
        raise SourceError(f"{what}: column {value!r} is text, not numbers")
    wanted = [name for name in wanted_fields(options) if name in known and name != id_field]
    frame = _distinct(lazy, id_field, wanted)
    genes, ids = _distinct(lazy, gene_field)[gene_field].to_list(), frame[id_field].to_list()
    counts = lazy.group_by(id_field).agg(pl.col(wanted).n_unique()).collect()
    for name in wanted:
        odd = counts.filter(pl.col(name) > 1)
        if odd.height:
            raise SourceError(f"{what}: {name!r} has several values for {odd[id_field][0]!r}")

    def make(folder: Path) -> None:
        buckets = Buckets(folder, (len(ids), len(genes)), lazy.select(pl.len()).collect().item())
        columns = [id_field, gene_field, value]
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for batch in map(pl.DataFrame, file.iter_batches(_LONG_ROWS, columns=columns)):
                rows = _positions(batch[id_field], ids)
                of_genes = _positions(batch[gene_field], genes)
                if collection.unit == "counts":
                    exact = batch[value].drop_nulls().to_numpy()
                    refuse_rounded(exact, lambda _: f"{what}: {value!r}")
                values = batch[value].cast(pl.Float32)
                if values.null_count() or not values.is_finite().all():
                    raise SourceError(f"{what}: {value!r} holds missing or infinite values")
                buckets.add(rows, of_genes, values.to_numpy())
        write_panel(folder, 0, buckets.blocks(what))

    folder = spooled(archives, collection, make)
    spool = Spool(folder, (len(ids), len(genes)), (len(genes),))
    return Matrix(spool, genes, ids, frame, spool.stored())


def _distinct(lazy: pl.LazyFrame, name: str, also: Sequence[str] = ()) -> pl.DataFrame:
    """Names in order of appearance, with the first value of other columns for each."""
    key = pl.col(name).cast(pl.String)
    frame = lazy.group_by(key, maintain_order=True).agg(pl.col(also).first()).collect()
    if frame[name].null_count():
        raise SourceError(f"column {name!r} is empty in some rows")
    return frame


def _positions(names: pl.Series, known: list[str]) -> NDArray[np.int64]:
    return names.cast(pl.String).cast(pl.Enum(known)).to_physical().cast(pl.Int64).to_numpy()
