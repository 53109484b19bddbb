"""The SQL catalogue of all releases that are kept, under one address that stays.

It shows the current release, and earlier ones by their version (`VERSION`). It is put together
from the catalogues of the releases, written after the pointer was swapped, and replaced as a whole:
if writing it fails, the release is published all the same, and the next publication, rollback or
collection writes it.
"""

from __future__ import annotations

import hashlib
import logging
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from genept.common import ConflictError, MissingObjectError, StoreError
from genept.release.catalogs.frozen_catalog import BLOCK, quoted
from genept.release.manifest import Manifest
from genept.release.publish import CATALOG, Releases
from genept.storage import Document, duckdb_connection, sql_text

if TYPE_CHECKING:
    import duckdb

TRIES: Final = 3
"""Attempts while other processes publish."""

SPAN: Final = 1_000_000_000
"""Ids of tables, files and mappings of one release lie within a span of their own."""

_LOG = logging.getLogger(__name__)


class CatalogNote(Document):
    """What the shared catalogue holds, beside it: ids of its releases, and its SHA-256."""

    releases: tuple[str, ...]
    sha256: str


def shared_catalog_key(product: str) -> str:
    """Key of the catalogue of all releases.

    Parameters
    ----------
    product
        First segment of every key.

    Returns
    -------
    str
    """
    return f"{product}/{CATALOG}"


def version_of(release_id: str) -> int:
    """The number that ``AT (VERSION => …)`` takes for a release: the digits of its time.

    Parameters
    ----------
    release_id
        Such as ``20261130T040000.123Z-abcdef``.

    Returns
    -------
    int
        Such as 20261130040000123.
    """
    return int(re.sub(r"\D", "", release_id.rpartition("-")[0]))


def catalogued(releases: Releases) -> list[Manifest]:
    """The releases that the shared catalogue shows, oldest first; the current one is the last.

    Parameters
    ----------
    releases
        The releases of a product.

    Returns
    -------
    list of Manifest
        Those up to the current one that have a catalogue and were not rolled back from.
    """
    if (pointer := releases.pointer()) is None:
        return []
    denied = {entry.release_id for entry in pointer.denied if entry.lifted_at is None}
    known = releases.history().manifests
    return [
        known[release_id]
        for release_id in sorted(known)
        if release_id <= pointer.release_id
        and release_id not in denied
        and known[release_id].catalog
    ]


def refresh_catalog(releases: Releases) -> bool:
    """Write the shared catalogue, unless it shows what is to be shown.

    Parameters
    ----------
    releases
        Opened with the publisher's keys.

    Returns
    -------
    bool
        Whether the catalogue shows the current release now; a failure is logged.
    """
    for _ in range(TRIES):
        try:
            return _refresh(releases)
        except ConflictError:
            continue  # another process wrote it: look at the pointer again
        except StoreError as error:
            _LOG.warning("the SQL catalogue of all releases was not written: %s", error)
            return False
    _LOG.warning("the SQL catalogue of all releases was not written: others write it all the time")
    return False


def _refresh(releases: Releases) -> bool:
    key, store = shared_catalog_key(releases.product), releases.store
    note_key = f"{key}.json"
    note, note_etag = _note(releases, note_key)
    stored = store.head(key)  # before the pointer, so that no older catalogue replaces a newer one
    shown = catalogued(releases)
    if not shown:
        return False
    ids = tuple(manifest.release_id for manifest in shown)
    if note is not None and stored is not None and note.releases == ids:
        return True
    releases.lake.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=releases.lake.cache) as scratch:
        body = _joined(releases, shown, Path(scratch))
    store.put_if_match(key, body, stored.etag if stored else None)
    fresh = CatalogNote(releases=ids, sha256=hashlib.sha256(body).hexdigest())
    store.put_if_match(note_key, fresh.body(), note_etag)
    return True


def _note(releases: Releases, key: str) -> tuple[CatalogNote | None, str | None]:
    try:
        body, etag = releases.store.get_with_etag(key)
    except MissingObjectError:
        return None, None
    return CatalogNote.parse(body, releases.store.uri(key)), etag


def _joined(releases: Releases, shown: Sequence[Manifest], scratch: Path) -> bytes:
    """One DuckLake with a snapshot for each release, in which no other release has a table."""
    import duckdb

    path = scratch / "catalog.ducklake"
    versions = [version_of(manifest.release_id) for manifest in shown]
    try:
        with duckdb_connection(None, "ducklake") as connection:
            connection.execute(
                f"ATTACH {sql_text(f'ducklake:{path}')} AS empty "
                f"(DATA_PATH {sql_text(str(scratch))}, META_BLOCK_SIZE {BLOCK}); DETACH empty"
            )
            connection.execute(f"ATTACH {sql_text(str(path))} AS joined")
            connection.execute("BEGIN")
            address = releases.store.uri(f"{releases.product}/releases/")
            connection.execute(
                "UPDATE joined.ducklake_metadata SET value = ? WHERE key = 'data_path'", [address]
            )
            connection.execute("UPDATE joined.ducklake_schema SET path = ''")
            connection.execute("UPDATE joined.ducklake_snapshot SET snapshot_time = 'epoch'")
            connection.execute("COMMIT")
            for number, manifest in enumerate(shown):
                copy = scratch / f"{number}.ducklake"
                key = f"{releases.folder(manifest.release_id)}/{CATALOG}"
                releases.store.download(key, copy, manifest.catalog[CATALOG])
                connection.execute(f"ATTACH {sql_text(str(copy))} AS one (READ_ONLY)")
                until = versions[number + 1] if number + 1 < len(versions) else None
                connection.execute("BEGIN")
                _add(connection, manifest.release_id, number, versions[number], until)
                connection.execute("COMMIT; DETACH one")
                copy.unlink()
            connection.execute("CHECKPOINT joined; DETACH joined")
    except duckdb.Error as error:
        raise StoreError(f"the SQL catalogue of all releases could not be made: {error}") from error
    return path.read_bytes()


_IDS: Final = frozenset(
    {"table_id", "view_id", "object_id", "data_file_id", "mapping_id", "next_catalog_id",
     "next_file_id"}
)  # fmt: skip
"""Columns of ids that are unique in a DuckLake."""

_SNAPSHOTS: Final = frozenset({"begin_snapshot", "snapshot_id", "schema_version"})


def _add(
    connection: duckdb.DuckDBPyConnection,
    release_id: str,
    number: int,
    version: int,
    until: int | None,
) -> None:
    """Add the rows of one release's catalogue, which exist from its snapshot to the next one."""
    columns: dict[str, list[str]] = {}
    for table, column in connection.execute(
        "SELECT table_name, column_name FROM duckdb_columns() "
        "WHERE database_name = 'one' AND schema_name = 'main' ORDER BY table_name, column_index"
    ).fetchall():
        columns.setdefault(table, []).append(column)
    for table, names in columns.items():
        if table in {"ducklake_metadata", "ducklake_schema"} or "inlined" in table:
            continue
        values = [_value(table, name, release_id, number * SPAN, version, until) for name in names]
        whole = "snapshot_id > 0" if "snapshot_id" in names else "true"  # 0 is the empty DuckLake
        listed = ", ".join(map(quoted, names))
        connection.execute(
            f"INSERT INTO joined.{quoted(table)} ({listed}) "  # noqa: S608 - names of DuckLake's own
            f"SELECT {', '.join(values)} FROM one.{quoted(table)} WHERE {whole}"
        )


def _value(
    table: str, column: str, release_id: str, offset: int, version: int, until: int | None
) -> str:
    name = quoted(column)
    if column in _IDS:
        return f"{name} + {offset}"
    if column in _SNAPSHOTS:
        return str(version)
    if column == "end_snapshot":
        return "NULL" if until is None else str(until)
    if column == "path" and table == "ducklake_table":
        return f"{sql_text(f'{release_id}/data/')} || {name}"
    return name
