"""Staging: the files of a release copied into its own folder, and read back through S3.

What may be released, and when it becomes visible, is `genept.store.release`'s business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from genept.console import progress_bar
from genept.store.errors import StoreError
from genept.store.lake import Lake, Part, StoredTable
from genept.store.licences import Restricted, collections_in
from genept.store.manifest import ReleasedColumn, ReleasedFile, ReleasedTable
from genept.store.s3 import ObjectStore
from genept.tables import TABLES


class ReleaseRefusedError(StoreError):
    """The evidence does not allow this release; the pointer was not moved."""


def stage(lake: Lake, folder: str, tables: Mapping[str, StoredTable]) -> dict[str, ReleasedTable]:
    """Copy every part below `folder`; the tables as the manifest will list them."""
    staged = {}
    restricted = Restricted.of(lake, tables)
    with progress_bar("publishing", sum(table.bytes for table in tables.values())) as advance:
        for name, table in tables.items():
            files = []
            for part in table.parts:
                files.append(_stage_part(lake, folder, part, restricted))
                advance(part.bytes)
            staged[name] = ReleasedTable(
                meaning=TABLES[name].meaning,
                deprecated=TABLES[name].deprecated,
                key=TABLES[name].key,
                partition=TABLES[name].partition,
                columns=ReleasedColumn.of(TABLES[name]),
                data_version=table.data_version,
                rows=table.rows,
                bytes=table.bytes,
                files=tuple(files),
            )
    return staged


def _stage_part(lake: Lake, folder: str, part: Part, restricted: Restricted) -> ReleasedFile:
    path = "/".join(["data", part.table, *part.partition, f"part-{part.number:05d}.parquet"])
    lake.store.put_if_absent(f"{folder}/{path}", lake.local(part), sha256=part.sha256)
    return ReleasedFile(
        path=path,
        partition=part.partition,
        bytes=part.bytes,
        sha256=part.sha256,
        rows=part.rows,
        dimension=part.dimension,
        origin=part.origin,
        collections=tuple(sorted(collections_in(lake, part))),
        redistributable=not restricted.marks(lake, part),
    )


def audit(store: ObjectStore, folder: str, tables: Mapping[str, ReleasedTable]) -> None:
    """Read every staged file back through S3: bytes, hash, footer, schema and rows.

    Raises
    ------
    ReleaseRefusedError
        If one is not what was meant to be staged.
    """
    for name, table in tables.items():
        for file in table.files:
            key = f"{folder}/{file.path}"
            address, body = store.uri(key), store.get(key)
            if hashlib.sha256(body).hexdigest() != file.sha256:
                raise ReleaseRefusedError(f"{address} does not read back as it was written")
            footer = pq.ParquetFile(pa.BufferReader(body))
            if footer.metadata.num_rows != file.rows:
                raise ReleaseRefusedError(
                    f"{address} holds {footer.metadata.num_rows} rows, {file.rows} were meant"
                )
            if not footer.schema_arrow.equals(TABLES[name].schema(file.dimension)):
                raise ReleaseRefusedError(
                    f"{address} does not have the schema that genept/tables.py declares: "
                    "materialise its asset again"
                )


def store_pages(store: ObjectStore, folder: str, pages: Mapping[str, bytes]) -> dict[str, str]:
    """Store the rendered checks under `audit/`; their SHA-256 by path."""
    for path, body in pages.items():
        store.put_if_absent(f"{folder}/audit/{path}", body)
    return {path: hashlib.sha256(body).hexdigest() for path, body in pages.items()}
