"""What an analyst imports: resolve a release, load a table, connect another reader.

Reads what was published and nothing else; never meets the orchestrator.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from genept.client.release_lookup import LATEST, OfflineWarning, Resolved, open_releases, resolve
from genept.client.vectors import Ids, Matrix, Vectors, open_vectors, read_vectors
from genept.common import Settings, StoreError, UnreachableStoreError
from genept.release import Manifest, ReleasedFile
from genept.schema.tables import TABLES
from genept.storage import open_store

if TYPE_CHECKING:
    import duckdb
    from pyarrow.fs import S3FileSystem

__all__ = [
    "OfflineWarning",
    "duckdb_connection",
    "filesystem",
    "load_embeddings",
    "load_table",
    "open_releases",
    "releases",
    "storage_options",
]

OBSERVED = ("cell_embeddings", "sample_embeddings")


def releases(*, settings: Settings | None = None) -> list[str]:
    """Ids of all releases, oldest first.

    Parameters
    ----------
    settings
        As for `load_table`.

    Returns
    -------
    list of str
    """
    return open_releases(settings).ids()


def load_table(
    name: str,
    *,
    release: str = LATEST,
    keep: bool = False,
    settings: Settings | None = None,
    **partition: str,
) -> pl.LazyFrame:
    """A published table, lazily: only the columns and rows that are used are read.

    Parameters
    ----------
    name
        A table such as ``genes``; see the README for all.
    release
        Id of a release, or ``latest``. Name one when several tables are read that must
        belong together: what is latest may change from call to call.
    keep
        Fetch the files whole and keep them on this machine. What was kept once is read from
        there from then on, also when the store is out of reach.
    settings
        Where the releases are; by default as the environment and ``genept.toml`` say.
    **partition
        Values of the columns that the table is split by, such as
        ``space="minilm-l6-v2/name-go"``. Files of other values are not opened.

    Returns
    -------
    pl.LazyFrame
        Rows of the files that match, each file sorted by the table's key.

    Raises
    ------
    StoreError
        If there is no such table, release or partition, or if vectors of several
        dimensions would meet in one column.
    """
    found = resolve(release, settings)
    chosen = released_files(found.manifest, name, partition)
    if not chosen:  # a release that was limited by settings may have a table without rows
        return pl.DataFrame(pl.from_arrow(TABLES[name].schema(0).empty_table())).lazy()
    files = found.releases.files
    if keep:
        return pl.scan_parquet([files.local(found.manifest, one) for one in chosen], glob=False)
    held = [path for one in chosen if (path := files.held(one))]
    if len(held) == len(chosen):
        return pl.scan_parquet(held, glob=False)
    _refuse_offline(found, name)
    addresses = [found.releases.address(found.manifest.release_id, one.path) for one in chosen]
    return pl.scan_parquet(addresses, storage_options=found.releases.store.storage_options())


def load_embeddings(
    table: str = "gene_embeddings",
    *,
    space: str,
    collection: str | None = None,
    method: str = "genept-w",
    ids: Sequence[str] | None = None,
    release: str = LATEST,
    settings: Settings | None = None,
) -> tuple[Ids, Matrix]:
    """Vectors as numpy: of all genes of a space, or of a collection's cells or samples.

    Parameters
    ----------
    table
        With a collection it may be left out: cells or samples are found by themselves.
    space
        Id of the space, such as ``minilm-l6-v2/name-go``.
    collection
        Id of the collection whose cells or samples are read; None: genes.
    method
        How genes were combined, for cells and samples.
    ids
        Only these Ensembl ids, or observation ids: fetched by themselves, in three small
        requests, unless the whole file is on this machine already.
    release, settings
        As for `load_table`.

    Returns
    -------
    ids : ndarray of str, shape (n,)
        Ensembl ids, or observation ids, sorted; or in the order of `ids`.
    matrix : ndarray of float32, shape (n, dimensions)
        Vectors of unit length; memory-mapped and read-only: copy it before changing it.

    Raises
    ------
    StoreError
        If there is no such table, space, collection, release or id.
    """
    found = resolve(release, settings)
    chosen = _vector_files(found.manifest, table, space, collection, method)
    table = chosen[0].path.split("/")[1]
    if ids is not None and len(chosen) == 1 and found.releases.files.held(chosen[0]) is None:
        _refuse_offline(found, table)
        releases, manifest = found.releases, found.manifest
        key = f"{releases.folder(manifest.release_id)}/{chosen[0].path}"
        name, dimension = manifest.tables[table].key[-1], chosen[0].dimension or 0
        vectors = read_vectors(releases.store, key, name, dimension, ids)
    else:
        vectors = _opened(found, chosen)
        vectors = vectors if ids is None else vectors.only(ids)
    return vectors.ids, vectors.matrix


def released_vectors(
    found: Resolved,
    table: str,
    space: str,
    collection: str | None = None,
    method: str = "genept-w",
) -> Vectors:
    """Vectors of a release, memory-mapped: see `load_embeddings`."""
    return _opened(found, _vector_files(found.manifest, table, space, collection, method))


def _opened(found: Resolved, chosen: Sequence[ReleasedFile]) -> Vectors:
    parts = [open_vectors(found.releases.files, found.manifest, one) for one in chosen]
    return parts[0] if len(parts) == 1 else Vectors.joined(parts)


def _vector_files(
    manifest: Manifest, table: str, space: str, collection: str | None, method: str
) -> list[ReleasedFile]:
    """The files that hold the vectors to be read."""
    partition = {"space": space}
    if collection is not None:
        holding = [one for one in OBSERVED if _holds(manifest, one, collection)]
        table = holding[0] if table == "gene_embeddings" and holding else table
        if table == "gene_embeddings":
            known = sorted(
                {file.partition[2] for one in OBSERVED for file in manifest.tables[one].files}
            )
            raise StoreError(
                f"no cells or samples of {collection!r} were embedded{_near(collection, known)}"
            )
        partition |= {"method": method, "collection_id": collection}
    elif table in OBSERVED:
        partition |= {"method": method}
    return released_files(manifest, table, partition)


def released_files(manifest: Manifest, name: str, partition: dict[str, str]) -> list[ReleasedFile]:
    """The files of a table that hold rows of a partition.

    Raises
    ------
    StoreError
        If there is no such table or partition, or their vectors differ in dimension.
    """
    if name not in manifest.tables:
        raise StoreError(
            f"release {manifest.release_id} has no table {name!r}"
            f"{_near(name, sorted(manifest.tables))}"
        )
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
        asked = "/".join(partition.get(column, "") for column in table.partition)
        near = difflib.get_close_matches(asked, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise StoreError(f"table {name!r} has nothing for {partition}; it has {known}{hint}")
    if len({file.dimension for file in files}) > 1:
        found = sorted({f"{file.partition[0]} ({file.dimension})" for file in files})
        raise StoreError(
            f"table {name!r} holds vectors of several dimensions, which fit no single column: "
            f"choose one {table.partition[0]} of {', '.join(found)}"
        )
    return files


def storage_options(*, settings: Settings | None = None) -> dict[str, str]:
    """What polars needs to read the release's S3 addresses; holds the secret: do not print it.

    Parameters
    ----------
    settings
        As for `load_table`.

    Returns
    -------
    dict of str to str
        Argument ``storage_options`` of polars.
    """
    return open_store(settings or Settings(), "reader").storage_options()


def filesystem(*, settings: Settings | None = None) -> S3FileSystem:
    """What pyarrow and pandas need to read the addresses, without their leading ``s3://``.

    Parameters
    ----------
    settings
        As for `load_table`.

    Returns
    -------
    S3FileSystem
        Argument ``filesystem`` of pyarrow and pandas.
    """
    return open_store(settings or Settings(), "reader").filesystem()


def duckdb_connection(*, settings: Settings | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that reads the release's S3 addresses.

    Parameters
    ----------
    settings
        As for `load_table`.

    Returns
    -------
    DuckDBPyConnection
    """
    from genept.storage import duckdb_connection as connect

    return connect(open_store(settings or Settings(), "reader"))


def _holds(manifest: Manifest, table: str, collection: str) -> bool:
    return any(file.partition[2] == collection for file in manifest.tables[table].files)


def _near(asked: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(asked, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {list(known)}"


def _refuse_offline(found: Resolved, name: str) -> None:
    if found.offline:
        raise UnreachableStoreError(
            f"the store is out of reach, and table {name!r} of {found.manifest.release_id} was not "
            "kept on this machine: load it once with keep=True while the store answers"
        )
