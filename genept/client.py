"""What an analyst imports: resolve a release, load a table, connect another reader.

Reads what was published and nothing else; never meets the orchestrator.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import polars as pl

from genept.settings import Settings
from genept.store.connect import open_store
from genept.store.errors import StoreError
from genept.store.lake import Lake
from genept.store.manifest import Manifest
from genept.store.release import Releases
from genept.tables import TABLES

if TYPE_CHECKING:
    import duckdb
    from pyarrow.fs import S3FileSystem


def open_releases(settings: Settings | None = None) -> Releases:
    """The releases of an installation; by default of the one in this folder."""
    settings = settings or Settings()
    lake = Lake(open_store(settings), settings.product, settings.state / "cache" / "parts")
    return Releases(lake, settings.product)


def releases(*, settings: Settings | None = None) -> list[str]:
    """Ids of all releases, oldest first."""
    return open_releases(settings).ids()


def load_table(
    name: str, *, release: str = "latest", settings: Settings | None = None, **partition: str
) -> pl.LazyFrame:
    """A published table, lazily: only the columns and rows asked for are read.

    Parameters
    ----------
    name
        A table such as ``genes``; see the README for all.
    release
        Id of a release, or ``latest``. Name one when several tables are read that must
        belong together: what is latest may change from call to call.
    **partition
        Values of the columns that the table is split by, such as
        ``space="minilm-l6-v2/name-go"``. Files of other values are not opened.

    Raises
    ------
    StoreError
        If there is no such table, release or partition, or if vectors of several
        dimensions would meet in one column.
    """
    known = open_releases(settings)
    manifest = known.current() if release == "latest" else known.manifest(release)
    paths = _paths(manifest, name, partition)
    if not paths:  # a release that was limited by settings may have a table without rows
        return pl.DataFrame(pl.from_arrow(TABLES[name].schema(0).empty_table())).lazy()
    addresses = [known.address(manifest.release_id, path) for path in paths]
    return pl.scan_parquet(addresses, storage_options=known.store.storage_options())


def storage_options(*, settings: Settings | None = None) -> dict[str, str]:
    """What polars needs to read the release's S3 addresses; holds the secret: do not print it."""
    return open_store(settings or Settings()).storage_options()


def filesystem(*, settings: Settings | None = None) -> S3FileSystem:
    """What pyarrow and pandas need to read the addresses, without their leading ``s3://``."""
    return open_store(settings or Settings()).filesystem()


def duckdb_connection(*, settings: Settings | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that reads the release's S3 addresses."""
    from genept.store.duckdb_reader import duckdb_connection as connect

    return connect(open_store(settings or Settings()))


def _paths(manifest: Manifest, name: str, partition: dict[str, str]) -> list[str]:
    if name not in manifest.tables:
        near = difflib.get_close_matches(name, manifest.tables, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {sorted(manifest.tables)}"
        raise StoreError(f"release {manifest.release_id} has no table {name!r}{hint}")
    table = manifest.tables[name]
    if unknown := sorted(set(partition) - set(table.partition)):
        raise StoreError(f"table {name!r} is split by {list(table.partition)}, not by {unknown}")
    files = [
        file
        for file in table.files
        if all(
            partition.get(column, value) == value
            for column, value in zip(table.partition, file.partition, strict=True)
        )
    ]
    if partition and not files:
        known = sorted({"/".join(file.partition) for file in table.files})
        raise StoreError(f"table {name!r} has nothing for {partition}; it has {known}")
    if len({file.dimension for file in files}) > 1:
        found = sorted({f"{file.partition[0]} ({file.dimension})" for file in files})
        raise StoreError(
            f"table {name!r} holds vectors of several dimensions, which fit no single column: "
            f"choose one {table.partition[0]} of {', '.join(found)}"
        )
    return [file.path for file in files]
