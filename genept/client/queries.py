"""SQL over a release: one query on its catalogue, which only reads.

The catalogue is made in `genept.release.catalogs`. DuckDB without this package reads it, too:
docs/reading.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from genept.client.release_lookup import LATEST, Resolved, Snippets, resolve
from genept.common import Settings, StoreError, UnreachableStoreError
from genept.release import CATALOG, ReleasedFiles, shared_catalog_key
from genept.storage import (
    duckdb_connection,
    duckdb_secret,
    loading_statements,
    sha256_of_file,
    sql_text,
)

if TYPE_CHECKING:
    import duckdb


def sql(query: str, *, release: str = LATEST, settings: Settings | None = None) -> pl.DataFrame:
    """Ask a release a question in SQL.

    Parameters
    ----------
    query
        One statement of DuckDB's SQL that reads, such as ``FROM genes LIMIT 5``, ``SHOW TABLES``
        or ``DESCRIBE gene_vectors``. Tables are those of the release, and the views
        ``gene_vectors``, ``labelled_observations`` and ``scores_with_controls``.
    release
        Id of a release, or ``latest``.
    settings
        As for `genept.load_table`.

    Returns
    -------
    pl.DataFrame
        The rows of the answer. Vectors are lists.

    Raises
    ------
    StoreError
        DuckDB is not installed, the release has no catalogue, the query is not one that only
        reads, or DuckDB refuses it.
    """
    resolved = resolve(release, settings)
    with duckdb_connection(resolved.releases.store, "ducklake") as connection:
        import duckdb

        _check(connection, query)
        _attach(connection, resolved)
        try:
            return connection.execute(query).pl()
        except duckdb.Error as error:
            raise StoreError(f"the query was refused: {error}") from None


def _check(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Refuse what is not one statement that reads."""
    import duckdb

    try:
        statements = connection.extract_statements(query)
    except duckdb.Error as error:
        raise StoreError(f"the query cannot be read: {error}") from None
    reading = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
    if [statement.type in reading for statement in statements] != [True]:
        raise StoreError(
            "a query is one statement that reads, such as SELECT, FROM, DESCRIBE or SHOW TABLES; "
            "for anything else attach the catalogue in DuckDB: docs/reading.md"
        )


def _attach(connection: duckdb.DuckDBPyConnection, resolved: Resolved) -> None:
    """Attach the catalogue of the release, verified, and make it the default."""
    releases, manifest = resolved.releases, resolved.manifest
    if CATALOG not in manifest.catalog:
        raise StoreError(
            f"release {manifest.release_id} has no SQL catalogue, as it was made by version "
            f"{manifest.platform_version}: genept.load_table reads its tables, and `genept run` "
            "makes a release that has one"
        )
    if resolved.offline:
        raise UnreachableStoreError(
            f"the store is out of reach, and SQL reads release {manifest.release_id} from there"
        )
    path = _copy(resolved, manifest.catalog[CATALOG])
    data = releases.address(manifest.release_id, "data")
    connection.execute(
        f"ATTACH {sql_text(f'ducklake:{path}')} AS genept "
        f"(READ_ONLY, DATA_PATH {sql_text(data)}, OVERRIDE_DATA_PATH true)"
    )
    connection.execute("USE genept")


def _copy(resolved: Resolved, sha256: str) -> Path:
    """The verified copy of the catalogue on this machine, fetched if there is none."""
    releases = resolved.releases
    path = releases.lake.cache / f"{sha256}.ducklake"
    if not path.exists() or sha256_of_file(path) != sha256:
        folder = releases.folder(resolved.manifest.release_id)
        releases.store.download(f"{folder}/{CATALOG}", path, sha256)
    return path


def opening_statements(code: Snippets) -> str:
    """The two statements by which any DuckDB opens the releases; without the keys.

    Parameters
    ----------
    code
        Snippets of a release.

    Returns
    -------
    str
        Statements of SQL, each with its semicolon.
    """
    files = code.files
    access = files.store.access
    options = {
        "KEY_ID": None if access.unsigned else "…",
        "SECRET": None if access.unsigned else "…",
        "ENDPOINT": access.host,
        "URL_STYLE": "path" if access.endpoint_url else None,
        "REGION": access.region,
        "USE_SSL": None if access.is_encrypted else "false",
    }
    given = "".join(f", {name} '{value}'" for name, value in options.items() if value)
    (text,) = code.filled("opening", catalog=_shared_catalog(files), options=given).values()
    return text.strip()


def opening_script(files: ReleasedFiles) -> str:
    """A script by which DuckDB's shell opens the releases: keys and all.

    Parameters
    ----------
    files
        Files of the releases.

    Returns
    -------
    str
        Statements of SQL, a line each, under a comment: extensions out of their packages where
        these are installed, the secret with the keys of this installation, the catalogue of all
        releases.
    """
    statements = [
        *loading_statements("httpfs", "ducklake"),
        duckdb_secret(files.store.access),
        f"ATTACH {sql_text(f'ducklake:{_shared_catalog(files)}')} AS genept (READ_ONLY)",
    ]
    import duckdb  # not needed by those who read a release

    head = (
        f"-- For DuckDB {duckdb.__version__}: extensions are of one version. In another one, with\n"
        "-- a network: INSTALL httpfs; INSTALL ducklake; LOAD httpfs; LOAD ducklake; instead.\n"
    )
    return head + "".join(f"{statement.rstrip(';')};\n" for statement in statements)


def _shared_catalog(files: ReleasedFiles) -> str:
    """Address of the catalogue over all releases."""
    return files.store.uri(shared_catalog_key(files.folder.removesuffix("/releases")))


def sql_questions(code: Snippets) -> dict[str, str]:
    """The first questions in SQL, after the opening; those that the release has data for.

    Parameters
    ----------
    code
        Snippets of the release.

    Returns
    -------
    dict of str to str
        A query by its question.
    """
    questions: dict[str, str] = {}
    if space := code.space():
        questions |= code.filled("sql", space=space, gene=code.gene(space))
    if responses := code.manifest.tables["drug_responses"].files:
        questions |= code.filled("sql_screen", screen=responses[0].partition[0])
    return {question: query.strip() for question, query in questions.items()}
