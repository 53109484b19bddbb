"""Where the files of a release lie, and the types that they state.

A file lies under ``column=value`` folders, as readers of many files expect. Vectors are stated as
lists without a fixed length, so that spaces of several dimensions are one table; in the lake, a
part states the dimension of its space. The pages of both are the same bytes.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from genept.common import StoreError
from genept.schema import Table
from genept.storage import WrittenFile

STATED: Final = b"ARROW:schema"
"""Key under which Arrow states the types of a parquet file, in its footer."""

VECTOR_LEAF: Final = "embedding.list.element"
"""Path of the numbers of vectors in a parquet file."""

MAGIC: Final = b"PAR1"
CHUNK: Final = 1 << 20


def file_path(table: Table, partition: Sequence[str], number: int) -> str:
    """Path of a file below the folder of its release.

    Parameters
    ----------
    table
        Declaration of the table.
    partition
        Values of its partition columns.
    number
        Number of the file within the partition.

    Returns
    -------
    str
        Such as ``data/gene_embeddings/space=minilm%2Fname/part-00000.parquet``: values are
        percent-encoded, except for letters, digits and ``_.-~``.
    """
    folders = (
        f"{column}={quote(value, safe='')}"
        for column, value in zip(table.partition, partition, strict=True)
    )
    return "/".join(["data", table.name, *folders, f"part-{number:05d}.parquet"])


def released_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of a table's files in a release.

    Parameters
    ----------
    schema
        Schema of its parts in the lake.

    Returns
    -------
    pa.Schema
        The same, with lists in place of lists of a fixed length.
    """
    fields = [
        field.with_type(pa.list_(field.type.value_field))
        if pa.types.is_fixed_size_list(field.type)
        else field
        for field in schema
    ]
    return pa.schema(fields, metadata=schema.metadata)


def as_released(path: Path, copy: Path) -> WrittenFile:
    """Copy a parquet file, and state lists in place of lists of a fixed length.

    No page is decoded: only the types that the footer states are replaced.

    Parameters
    ----------
    path
        The file of the lake.
    copy
        The file to write.

    Returns
    -------
    WrittenFile
        The copy.

    Raises
    ------
    StoreError
        The file is not one that the platform wrote.
    """
    with pq.ParquetFile(path) as file:
        metadata, schema = file.metadata.metadata or {}, file.schema_arrow
        rows = file.metadata.num_rows
    wanted = released_schema(schema)
    old, new = _entry(metadata.get(STATED, b"")), _entry(_stated(wanted))
    digest, size = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as source, copy.open("wb") as sink:
        source.seek(size - 8)
        length = int.from_bytes(source.read(4), "little")
        source.seek(size - 8 - length)
        footer = source.read(length)
        if footer.count(old) != 1:
            raise StoreError(f"{path} does not state its types as files of the lake do")
        footer = footer.replace(old, new)
        source.seek(0)
        left = size - 8 - length
        while left:
            chunk = source.read(min(CHUNK, left))
            digest.update(chunk)
            sink.write(chunk)
            left -= len(chunk)
        end = footer + len(footer).to_bytes(4, "little") + MAGIC
        digest.update(end)
        sink.write(end)
    if not pq.read_schema(copy).equals(wanted, check_metadata=True):
        raise StoreError(f"{path} could not be copied with other types")
    return WrittenFile(copy, digest.hexdigest(), copy.stat().st_size, rows)


def _stated(schema: pa.Schema) -> bytes:
    """How Arrow states a schema in the footer of a parquet file."""
    body = io.BytesIO()
    pq.ParquetWriter(body, schema).close()
    stated: bytes = pq.read_metadata(io.BytesIO(body.getvalue())).metadata[STATED]
    return stated


def _entry(text: bytes) -> bytes:
    """A text as Thrift's compact protocol writes it: its length, seven bits a byte, then it."""
    length, digits = len(text), bytearray()
    while length > 127:
        digits.append(length & 127 | 128)
        length >>= 7
    return bytes([*digits, length]) + text
