"""Published vectors as memory-mapped matrices, and the exact search for the nearest of them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from genept.common import StoreError
from genept.release import Manifest, ReleasedFile, ReleasedFiles
from genept.storage import Bucket, read_matrix

Matrix = npt.NDArray[np.float32]

Ids = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Vectors:
    """Vectors and what each belongs to, in the same order: ids (n,), matrix n × dimensions."""

    ids: Ids
    matrix: Matrix

    @cached_property
    def mean(self) -> npt.NDArray[np.float32]:
        """The mean vector, (dimensions,)."""
        mean: npt.NDArray[np.float32] = self.matrix.mean(axis=0, dtype=np.float64).astype(
            np.float32
        )
        return mean

    @cached_property
    def norms(self) -> npt.NDArray[np.float32]:
        """Length of every vector, (n,)."""
        norms: npt.NDArray[np.float32] = np.sqrt(np.einsum("ij,ij->i", self.matrix, self.matrix))
        return norms

    @cached_property
    def centred_norms(self) -> npt.NDArray[np.float32]:
        """Length of every vector less the mean, (n,)."""
        squared = self.norms**2 - 2 * (self.matrix @ self.mean) + self.mean @ self.mean
        norms: npt.NDArray[np.float32] = np.sqrt(np.maximum(squared, 1e-12, dtype=np.float32))
        return norms

    def cosines(self, query: Matrix, *, centred: bool = False) -> npt.NDArray[np.float32]:
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
        products: npt.NDArray[np.float32] = self.matrix @ query
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
        return cls(
            np.concatenate([one.ids for one in parts]),
            np.concatenate([one.matrix for one in parts]),
        )

    def only(self, ids: Sequence[str]) -> Vectors:
        """Those of some ids, in the order of their asking. Raises `StoreError` for unknown ones."""
        place = {str(one): at for at, one in enumerate(self.ids)}
        if unknown := [one for one in ids if one not in place]:
            raise StoreError(
                f"no vectors of {', '.join(unknown[:5])}: vectors are asked for by id, such as "
                "ENSG00000049768; table `genes` says which symbol has which"
            )
        chosen = [place[one] for one in ids]
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
        filesystem=store.filesystem(),
        columns=[name, "embedding"],
        filters=[(name, "in", list(ids))],
        partitioning=None,
    )
    found = np.array(rows[name].to_pylist(), dtype=np.str_)
    flat = rows["embedding"].combine_chunks().flatten().to_numpy()
    return Vectors(found, flat.reshape(len(rows), dimension)).only(ids)


def _save(path: Path, array: npt.NDArray[np.generic]) -> None:
    """Save an array whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        try:
            np.save(file, array, allow_pickle=False)
            file.close()
            os.replace(file.name, path)  # noqa: PTH105 (the name is a string)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
