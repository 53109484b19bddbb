"""The SQL catalogue of a release: a frozen DuckLake over its files, to attach and query.

It has the declared tables with their meanings, and views of usual joins. It refers to the files by
paths below the folder of the release, and holds no rows: nothing is copied, and nobody may write to
it. That of all releases together is in `genept.release.catalogs.shared_catalog`.
"""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Callable
from importlib.resources import files as resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from genept.common import StoreError
from genept.release.manifest import Manifest, ReleasedFile
from genept.schema import Table
from genept.schema.tables import TABLES
from genept.storage import duckdb_connection, sql_text

if TYPE_CHECKING:
    import duckdb

BLOCK: Final = 16384
"""Bytes of a block of the database file, the least there is: readers fetch it over the network."""

TYPES: Final = {
    pa.string(): "VARCHAR",
    pa.bool_(): "BOOLEAN",
    pa.int64(): "BIGINT",
    pa.uint32(): "UINTEGER",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
}
"""Types of SQL by those of declared columns, or of the elements of their lists."""


def make_catalog(
    manifest: Manifest, local: Callable[[ReleasedFile], Path], address: str, folder: Path
) -> bytes:
    """Make the catalogue of a release.

    Parameters
    ----------
    manifest
        Manifest of the release, which need not be sealed.
    local
        Where a file of the release is on this machine: its footer is read.
    address
        Address of the folder of the release, where readers find the files.
    folder
        Where the catalogue is made; it is gone afterwards.

    Returns
    -------
    bytes
        A DuckLake in a file of DuckDB.

    Raises
    ------
    StoreError
        DuckDB is not installed, or a file does not fit its declaration.
    """
    import duckdb

    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        path = Path(scratch) / "catalog.ducklake"
        try:
            with duckdb_connection(None, "ducklake") as connection:
                connection.execute(
                    f"ATTACH {sql_text(f'ducklake:{path}')} AS genept "
                    f"(DATA_PATH {sql_text(scratch)}, DATA_INLINING_ROW_LIMIT 0, "
                    f"META_BLOCK_SIZE {BLOCK})"
                )
                connection.execute("USE genept")
                paths = _fill(connection, manifest, local)
                connection.execute("USE memory; DETACH genept")
                connection.execute(f"ATTACH {sql_text(str(path))} AS stored; USE stored")
                _refer(connection, manifest, paths, address)
                connection.execute("USE memory; DETACH stored")
        except duckdb.Error as error:
            raise StoreError(
                f"the SQL catalogue of {manifest.release_id} could not be made: {error}"
            ) from error
        return path.read_bytes()


def _fill(
    connection: duckdb.DuckDBPyConnection, manifest: Manifest, local: Callable[[ReleasedFile], Path]
) -> dict[str, str]:
    """Create tables and views and register the files; return their paths by where they are here."""
    paths: dict[str, str] = {}
    connection.execute("BEGIN")
    for name, released in manifest.tables.items():
        _create(connection, TABLES[name])
        here = {str(local(file)): file for file in released.files if file.rows}
        paths |= {place: file.path.removeprefix(f"data/{name}/") for place, file in here.items()}
        if here:
            listed = ", ".join(map(sql_text, here))
            connection.execute(
                f"CALL ducklake_add_data_files('genept', {sql_text(name)}, [{listed}], "
                "hive_partitioning => false)"
            )
    for name, view in views().items():
        connection.execute(f"CREATE VIEW {quoted(name)} AS {view['sql']}")
        connection.execute(f"COMMENT ON VIEW {quoted(name)} IS {sql_text(view['meaning'])}")
    connection.execute(f"CALL genept.set_commit_message('genept', {sql_text(manifest.release_id)})")
    connection.execute("COMMIT")
    return paths


def _create(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    columns = ", ".join(
        f"{quoted(column.name)} {TYPES[column.element]}{'[]' if column.is_list else ''}"
        f"{'' if column.nullable else ' NOT NULL'}"
        for column in table.columns
    )
    connection.execute(f"CREATE TABLE {quoted(table.name)} ({columns})")
    connection.execute(f"COMMENT ON TABLE {quoted(table.name)} IS {sql_text(table.meaning)}")
    for column in table.columns:
        meaning = column.meaning + (f" Unit: {column.unit}." if column.unit else "")
        connection.execute(
            f"COMMENT ON COLUMN {quoted(table.name)}.{quoted(column.name)} IS {sql_text(meaning)}"
        )


def _refer(
    connection: duckdb.DuckDBPyConnection, manifest: Manifest, paths: dict[str, str], address: str
) -> None:
    """Refer to files by their paths in the release, instead of where they are on this machine."""
    connection.execute(
        "UPDATE ducklake_metadata SET value = ? WHERE key = 'data_path'", [f"{address}/data/"]
    )
    connection.execute("UPDATE ducklake_schema SET path = '' WHERE schema_name = 'main'")
    connection.execute("CREATE TEMP TABLE moved (here VARCHAR, path VARCHAR)")
    connection.executemany("INSERT INTO moved VALUES (?, ?)", list(paths.items()))
    connection.execute(
        "UPDATE ducklake_data_file AS file SET path = moved.path, path_is_relative = true "
        "FROM moved WHERE file.path = moved.here"
    )
    connection.execute(
        "UPDATE ducklake_snapshot SET snapshot_time = ?::TIMESTAMPTZ", [manifest.created_at]
    )
    (left,) = connection.execute(
        "SELECT count(*) FROM ducklake_data_file WHERE NOT path_is_relative"
    ).fetchone() or (0,)
    if left:
        raise StoreError(f"{left} files of {manifest.release_id} have no path in its catalogue")
    connection.execute("CHECKPOINT stored")


def views() -> dict[str, dict[str, str]]:
    """SQL and meaning of every view, by name."""
    return tomllib.loads(
        resources("genept.release.catalogs").joinpath("views.toml").read_text("utf-8")
    )


def quoted(name: str) -> str:
    """An identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'
