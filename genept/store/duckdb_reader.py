"""DuckDB reading parquet from the object store, offline.

The S3 extension comes from the package `duckdb-extension-httpfs` and is loaded
from where it was installed: nothing is downloaded, nothing is written to the
home folder. Other readers get what they need from `ObjectStore` itself.
"""

from __future__ import annotations

from importlib.resources import as_file, files

import duckdb

from genept.store.errors import StoreError
from genept.store.s3 import ObjectStore


def duckdb_connection(store: ObjectStore) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that reads ``s3://…`` addresses of `store`.

    Raises
    ------
    StoreError
        The extension is missing or belongs to another DuckDB version.
    """
    connection = duckdb.connect(
        config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    )
    try:
        _load_httpfs(connection)
        connection.execute(store.duckdb_secret())
    except BaseException:
        connection.close()
        raise
    return connection


def _load_httpfs(connection: duckdb.DuckDBPyConnection) -> None:
    """Load the extension file whose folder carries the version of DuckDB itself."""
    wanted = f"duckdb-extension-httpfs=={duckdb.__version__}"
    try:
        extension = files("duckdb_extension_httpfs").joinpath(
            "extensions", f"v{duckdb.__version__}", "httpfs.duckdb_extension"
        )
        with as_file(extension) as path:
            connection.execute(f"LOAD '{str(path).replace(chr(39), chr(39) * 2)}'")
    except (ModuleNotFoundError, FileNotFoundError, duckdb.Error) as error:
        raise StoreError(
            f"DuckDB {duckdb.__version__} cannot read S3: its extension did not load ({error}); "
            f"install {wanted}"
        ) from error
