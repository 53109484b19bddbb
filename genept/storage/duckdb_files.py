"""DuckDB over a bucket: its extensions, which are installed as packages, and its credentials.

No extension is downloaded. What is read with it is decided in `genept.release` and `genept.client`.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from genept.common import StoreError
from genept.storage.bucket import Access, Bucket

if TYPE_CHECKING:
    import duckdb

Extension = Literal["httpfs", "ducklake"]


def duckdb_connection(store: Bucket | None, *extensions: Extension) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB that reads ``s3://…`` addresses of a bucket.

    Parameters
    ----------
    store
        The bucket, whose credentials the connection gets; None for local files alone.
    *extensions
        Extensions to load besides ``httpfs``, which a bucket needs.

    Returns
    -------
    DuckDBPyConnection
        Its extensions are those installed with the package: it downloads none.

    Raises
    ------
    StoreError
        DuckDB or an extension is not installed, or their versions differ.
    """
    try:
        import duckdb
    except ModuleNotFoundError:
        raise StoreError("DuckDB is not installed: pip install 'genept-platform[duckdb]'") from None
    connection = duckdb.connect(
        config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    )
    try:
        for name in (*(["httpfs"] if store else []), *extensions):
            _load(connection, name)
        if store is not None:
            connection.execute(duckdb_secret(store.access))
    except BaseException:
        connection.close()
        raise
    return connection


def loading_statements(*extensions: str) -> list[str]:
    """Statements that load extensions from their packages, for a DuckDB without a network.

    Parameters
    ----------
    *extensions
        Names of extensions.

    Returns
    -------
    list of str
        One for each, without its semicolon; none if DuckDB or a package is not installed. They fit
        DuckDB of the version that is installed here.
    """
    try:
        return [f"LOAD {sql_text(str(_packaged(name)))}" for name in extensions]
    except (ModuleNotFoundError, FileNotFoundError):
        return []


def _packaged(name: str) -> Path:
    """The file of an extension in its package, whose folders are named by DuckDB versions."""
    import duckdb

    extension = files(f"duckdb_extension_{name}").joinpath(
        "extensions", f"v{duckdb.__version__}", f"{name}.duckdb_extension"
    )
    with as_file(extension) as path:
        if not path.exists():
            raise FileNotFoundError(path)
        return path


def _load(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load an extension from its package."""
    import duckdb

    try:
        connection.execute(f"LOAD {sql_text(str(_packaged(name)))}")
    except (ModuleNotFoundError, FileNotFoundError, duckdb.Error) as error:
        raise StoreError(
            f"DuckDB {duckdb.__version__} cannot read releases: its extension {name} did not load "
            f"({error}); install duckdb-extension-{name}=={duckdb.__version__}"
        ) from error


def duckdb_secret(access: Access) -> str:
    """The statement that creates the secret; without configured keys, of those that boto3 finds.

    Parameters
    ----------
    access
        How the bucket is reached.

    Returns
    -------
    str
        One statement, without its semicolon.

    Raises
    ------
    StoreError
        There are no keys.
    """
    credentials = None if access.unsigned else access.session().get_credentials()
    if credentials is None and not access.unsigned:
        raise StoreError(
            "DuckDB needs credentials and none were found: set GENEPT_S3_ACCESS_KEY and "
            "GENEPT_S3_SECRET_KEY, or give boto3 a profile"
        )
    frozen = credentials.get_frozen_credentials() if credentials else None
    options = {
        "KEY_ID": frozen.access_key if frozen else None,
        "SECRET": frozen.secret_key if frozen else None,
        "SESSION_TOKEN": frozen.token if frozen else None,
        "REGION": access.region,
        "ENDPOINT": access.host,
        "URL_STYLE": "path" if access.endpoint_url else None,
        "SCOPE": f"s3://{access.bucket}",
    }
    given = "".join(f"{name} {sql_text(value)}, " for name, value in options.items() if value)
    return (
        "CREATE OR REPLACE SECRET genept (TYPE s3, PROVIDER config, "
        f"{given}USE_SSL {str(access.is_encrypted).lower()})"
    )


def sql_text(value: str) -> str:
    """A string literal of SQL.

    Parameters
    ----------
    value
        Any text.

    Returns
    -------
    str
        The text between quotes, those within it doubled.
    """
    return "'" + value.replace("'", "''") + "'"
