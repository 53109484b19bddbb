"""Published vectors and expression as matrices, and the exact search for the nearest vectors.

Which release they are read from is `genept.client.release_lookup`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow.parquet as pq

from genept.client.release_lookup import Resolved, released_files, suggestion
from genept.common import StoreError, replacement
from genept.release import Manifest, ReleasedFile, ReleasedFiles
from genept.storage import Bucket, read_matrix

if TYPE_CHECKING:
    import scipy.sparse as sp

Matrix = npt.NDArray[np.float32]

Ids = npt.NDArray[np.str_]

OBSERVED = ("cell_embeddings", "sample_embeddings")


@dataclass(frozen=True)
class Vectors:
    """Vectors and what each belongs to, in the same order: ids (n,), matrix n × dimensions."""

    ids: Ids
    matrix: Matrix

    @cached_property
    def mean(self) -> Matrix:
        """The mean vector, (dimensions,)."""
        mean: Matrix = self.matrix.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean

    @cached_property
    def norms(self) -> Matrix:
        """Length of every vector, (n,)."""
        norms: Matrix = np.sqrt(np.einsum("ij,ij->i", self.matrix, self.matrix))
        return norms

    @cached_property
    def centred_norms(self) -> Matrix:
        """Length of every vector less the mean, (n,)."""
        squared = self.norms**2 - 2 * (self.matrix @ self.mean) + self.mean @ self.mean
        norms: Matrix = np.sqrt(np.maximum(squared, 1e-12, dtype=np.float32))
        return norms

    def cosines(self, query: Matrix, *, centred: bool = False) -> Matrix:
        """Cosine of every vector with `query`, (n,); exact.

        Parameters
        ----------
        query
            One vector, (dimensions,).
        centred
            Subtract the mean from every vector first. The vectors of whole cells all point
            nearly the same way (cosines of .99 between any two), and differ only in how they
            deviate from their mean. The caller centres the query.
        """
        products: Matrix = self.matrix @ query
        length = float(np.linalg.norm(query))
        if length == 0:
            raise StoreError("the vector to search with is all zero: it points nowhere")
        norms = self.norms
        if centred:
            products, norms = products - self.mean @ query, self.centred_norms
        products /= norms * np.float32(length)
        return products

    def nearest(self, query: Matrix, n: int, *, centred: bool = False) -> list[tuple[str, float]]:
        """The `n` nearest vectors by cosine, nearest first: their ids and cosines."""
        cosines = self.cosines(query, centred=centred)
        n = min(n, cosines.size)
        chosen = np.argpartition(-cosines, n - 1)[:n]
        chosen = chosen[np.argsort(-cosines[chosen], kind="stable")]
        return [(str(self.ids[at]), float(cosines[at])) for at in chosen]

    @classmethod
    def joined(cls, parts: Sequence[Vectors]) -> Vectors:
        """Several matrices as one, in memory."""
        ids, matrices = [part.ids for part in parts], [part.matrix for part in parts]
        return cls(np.concatenate(ids), np.concatenate(matrices))

    def only(self, ids: Sequence[str]) -> Vectors:
        """Those of some ids, in the order given. Raises `StoreError` for unknown ones."""
        place = {str(id_): at for at, id_ in enumerate(self.ids)}
        if unknown := [id_ for id_ in ids if id_ not in place]:
            raise StoreError(
                f"no vectors of {', '.join(unknown[:5])}: vectors are found by id, such as "
                "ENSG00000049768; table `genes` has the id of each symbol"
            )
        chosen = [place[id_] for id_ in ids]
        return Vectors(self.ids[chosen], self.matrix[chosen])

    def of(self, id_: str) -> Matrix | None:
        """The vector of an id; none if there is none."""
        at = np.flatnonzero(self.ids == id_)
        return np.asarray(self.matrix[at[0]]) if at.size else None


def open_vectors(files: ReleasedFiles, manifest: Manifest, file: ReleasedFile) -> Vectors:
    """The vectors of one released file, memory-mapped; laid out first if they never were."""
    key = manifest.tables[file.path.split("/")[1]].key[-1]
    folder = files.cache.parent / "vectors"
    matrix, ids = folder / f"{file.sha256}.npy", folder / f"{file.sha256}.ids.npy"
    if not (matrix.exists() and ids.exists()):
        with pq.ParquetFile(files.local(manifest, file)) as parquet:
            rows = parquet.read(columns=[key])
        _save(ids, np.array(rows[key].to_pylist(), dtype=np.str_))
        _save(matrix, read_matrix(files.local(manifest, file), file.dimension or 0))
    return Vectors(np.load(ids, mmap_mode="r"), np.load(matrix, mmap_mode="r"))


def released_vectors(
    release: Resolved,
    table: str,
    space: str,
    collection: str | None = None,
    method: str = "genept-w",
) -> Vectors:
    """Vectors of a release, memory-mapped: see `genept.load_embeddings`."""
    return joined_vectors(release, vector_files(release.manifest, table, space, collection, method))


def joined_vectors(release: Resolved, chosen: Sequence[ReleasedFile]) -> Vectors:
    """The vectors of several released files, in their order; of one file, memory-mapped."""
    parts = [open_vectors(release.releases.files, release.manifest, file) for file in chosen]
    return parts[0] if len(parts) == 1 else Vectors.joined(parts)


def vector_files(
    manifest: Manifest, table: str, space: str, collection: str | None, method: str
) -> list[ReleasedFile]:
    """The files that hold the vectors to be read."""
    partition = {"space": space}
    if collection is not None:
        known = {
            name: {file.partition[2] for file in manifest.tables[name].files} for name in OBSERVED
        }
        if table == "gene_embeddings":
            table = next((name for name in OBSERVED if collection in known[name]), table)
        if table == "gene_embeddings":
            choices = sorted(set().union(*known.values()))
            raise StoreError(
                f"no cells or samples of {collection!r} were embedded"
                f"{suggestion(collection, choices)}"
            )
        partition |= {"method": method, "collection_id": collection}
    elif table in OBSERVED:
        partition |= {"method": method}
    return released_files(manifest, table, partition)


def read_vectors(store: Bucket, key: str, name: str, dimension: int, ids: Sequence[str]) -> Vectors:
    """The vectors of some ids of a stored file, by range requests: nothing else is fetched.

    Parameters
    ----------
    name
        The column of the ids.

    Raises
    ------
    StoreError
        If an id has no vector there.
    """
    rows = pq.read_table(
        f"{store.bucket}/{key}",
        filesystem=store.access.filesystem(),
        columns=[name, "embedding"],
        filters=[(name, "in", list(ids))],
        partitioning=None,
    )
    stored = np.array(rows[name].to_pylist(), dtype=np.str_)
    flat = rows["embedding"].combine_chunks().flatten().to_numpy()
    return Vectors(stored, flat.reshape(len(rows), dimension)).only(ids)


def scanned(
    places: Sequence[Path] | Sequence[str],
    dimensions: Sequence[int | None],
    options: dict[str, str] | None,
) -> pl.LazyFrame:
    """The rows of released files, lazily, in the order of the files.

    Parameters
    ----------
    places
        Paths or addresses of the files, which are of one table.
    dimensions
        Of the vectors of each file; None if the table has none. Arrays cannot differ in length,
        so that several dimensions are read as lists.
    options
        What polars needs to read the addresses.
    """
    width = dimensions[0] if len(set(dimensions)) == 1 else None
    type_ = pl.List(pl.Float32) if width is None else pl.Array(pl.Float32, width)
    frames = []
    # Before schema 2.0.0 files stated arrays, which polars reads only if they are of one length.
    for dimension, chosen in groupby(zip(places, dimensions, strict=True), key=itemgetter(1)):
        some = [str(place) for place, _ in chosen]
        rows = pl.scan_parquet(some, glob=False, storage_options=options, hive_partitioning=False)
        frames.append(
            rows if dimension is None else rows.with_columns(pl.col("embedding").cast(type_))
        )
    return pl.concat(frames)


def expression_rows(files: Sequence[Path], n_genes: int) -> tuple[list[str], sp.csr_matrix]:
    """Observation ids and their expression, file by file and row group by row group."""
    import scipy.sparse as sp  # in the extra `anndata` only

    from genept.embeddings import csr_of

    ids: list[str] = []
    blocks = []
    for file in files:
        with pq.ParquetFile(file) as parquet:
            for group in range(parquet.num_row_groups):
                rows = parquet.read_row_group(group, ["observation_id", "gene_index", "value"])
                ids += rows["observation_id"].to_pylist()
                blocks.append(csr_of(rows, n_genes))
    return ids, sp.csr_matrix(sp.vstack(blocks, format="csr"))


def placed_vectors(
    release: Resolved, ids: Sequence[str], space: str, collection: str, method: str = "genept-w"
) -> Matrix:
    """Vectors of observations in an order of their own.

    Parameters
    ----------
    release
        The release.
    ids
        Ids of observations, among which is every one that has a vector.
    space, collection, method
        Which vectors.

    Returns
    -------
    NDArray of float32
        One row for each id; NaN without a vector.
    """
    vectors = released_vectors(release, "gene_embeddings", space, collection, method)
    placed = np.full((len(ids), vectors.matrix.shape[1]), np.nan, dtype=np.float32)
    at = {id_: row for row, id_ in enumerate(ids)}
    placed[[at[str(id_)] for id_ in vectors.ids]] = vectors.matrix
    return placed


def _save(path: Path, array: npt.NDArray[np.generic]) -> None:
    """Save an array whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacement(path) as stream:
        np.save(stream, array, allow_pickle=False)
