"""What an analyst imports: a release's tables, vectors, AnnData; connections for other readers.

Reads published data only. Which files are read is `genept.client.release_lookup`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from genept.client.release_lookup import (
    LATEST,
    Resolved,
    open_releases,
    released_files,
    resolve,
)
from genept.client.vectors import (
    Ids,
    Matrix,
    expression_rows,
    joined_vectors,
    placed_vectors,
    read_vectors,
    scanned,
    vector_files,
)
from genept.common import Settings, UnreachableStoreError
from genept.schema.tables import TABLES
from genept.storage import open_store

if TYPE_CHECKING:
    import duckdb
    from anndata import AnnData
    from pyarrow.fs import S3FileSystem


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
        Rows of the files that match, each file sorted by the table's key. Vectors are arrays of
        their space's dimension; where spaces of several dimensions are read together, lists.

    Raises
    ------
    StoreError
        If there is no such table, release or partition.
    """
    resolved = resolve(release, settings)
    releases, manifest = resolved.releases, resolved.manifest
    chosen = released_files(manifest, name, partition)
    if not chosen:  # a release that was limited by settings may have a table without rows
        return pl.DataFrame(pl.from_arrow(TABLES[name].schema(0).empty_table())).lazy()
    options: dict[str, str] | None = None
    places: list[Path] | list[str]
    if keep:
        places = resolved.local_files(name, partition)
    else:
        held = [path for file in chosen if (path := releases.files.held(file))]
        if len(held) == len(chosen):
            places = held
        else:
            _refuse_offline(resolved, name)
            places = [releases.address(manifest.release_id, file.path) for file in chosen]
            options = releases.store.access.storage_options()
    return scanned(places, [file.dimension for file in chosen], options)


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
    resolved = resolve(release, settings)
    releases, manifest = resolved.releases, resolved.manifest
    chosen = vector_files(manifest, table, space, collection, method)
    table = chosen[0].path.split("/")[1]
    if ids is not None and len(chosen) == 1 and releases.files.held(chosen[0]) is None:
        _refuse_offline(resolved, table)
        key = f"{releases.folder(manifest.release_id)}/{chosen[0].path}"
        name, dimension = manifest.tables[table].key[-1], chosen[0].dimension or 0
        vectors = read_vectors(releases.store, key, name, dimension, ids)
    else:
        vectors = joined_vectors(resolved, chosen)
        vectors = vectors if ids is None else vectors.only(ids)
    return vectors.ids, vectors.matrix


def load_anndata(
    collection: str,
    *,
    space: str | None = None,
    method: str = "genept-w",
    release: str = LATEST,
    settings: Settings | None = None,
) -> AnnData:
    """A collection as AnnData: expression as CSR, labels, genes, and its vectors in a space.

    Parameters
    ----------
    collection
        Id of the collection.
    space
        Id of the space whose vectors are added; None: none are.
    method
        How genes were combined into the vectors.
    release, settings
        As for `genept.load_table`.

    Returns
    -------
    AnnData
        `X` observations × genes, float32, in the collection's unit (`uns["unit"]`); `obs` the
        labels; `var` the genes by Ensembl id; with a space, `obsm["X_genept"]` the vectors, NaN
        for an observation without one.

    Raises
    ------
    StoreError
        If there is no such collection, space or release.
    """
    import anndata

    resolved, of_collection = resolve(release, settings), {"collection_id": collection}
    obs, var, about = (
        pl.read_parquet(resolved.local_files(table, of_collection), glob=False)
        for table in ("observations", "gene_axis", "collections")
    )
    obs, var = obs.sort("observation_id"), var.sort("gene_index")
    ids, matrix = expression_rows(resolved.local_files("expression", of_collection), var.height)
    order = pl.DataFrame({"observation_id": ids}).with_row_index("at")
    rows = obs.join(order, on="observation_id", how="left", maintain_order="left")["at"].to_numpy()
    annotated = anndata.AnnData(
        X=matrix if np.array_equal(rows, np.arange(len(ids))) else matrix[rows],
        obs=obs.drop("collection_id").to_pandas().set_index("observation_id"),
        var=var.drop("collection_id").to_pandas().set_index("ensembl_gene_id"),
        uns={
            "release": resolved.manifest.release_id,
            **about.select("unit", "licence", "citation", "title").row(0, named=True),
        },
    )
    if space is not None:
        ids = obs["observation_id"].to_list()
        annotated.obsm["X_genept"] = placed_vectors(resolved, ids, space, collection, method)
        annotated.uns["space"] = space
    return annotated


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
    return open_store(settings or Settings(), "reader").access.storage_options()


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
    return open_store(settings or Settings(), "reader").access.filesystem()


def duckdb_connection(*, settings: Settings | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that reads the releases' S3 addresses and SQL catalogues.

    Parameters
    ----------
    settings
        As for `load_table`.

    Returns
    -------
    DuckDBPyConnection
    """
    from genept.storage import duckdb_connection as connect

    return connect(open_store(settings or Settings(), "reader"), "ducklake")


def _refuse_offline(resolved: Resolved, name: str) -> None:
    if resolved.offline:
        raise UnreachableStoreError(
            f"the store is out of reach, and table {name!r} of {resolved.manifest.release_id} was "
            "not kept on this machine: load it once with keep=True while the store answers"
        )
