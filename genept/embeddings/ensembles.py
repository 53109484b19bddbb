"""Several representations of the same observations as one, and vectors made elsewhere.

Vectors of different spaces are never added up: they stand side by side, or their
similarities are averaged. With square roots of the weights the two are the same thing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

Matrix = npt.NDArray[np.float32]


class OutsideVectorsError(ValueError):
    """Vectors from elsewhere that cannot be joined to a collection."""


@dataclass(frozen=True)
class OutsideVectors:
    """Per-observation vectors of another model, in the order of a collection.

    Parameters
    ----------
    found
        Which of the collection's observations have a vector.
    vectors
        Those vectors: observations found × dimensions.
    n_strangers
        Vectors of ids that the collection does not have; they are not used.
    """

    found: npt.NDArray[np.bool_]
    vectors: Matrix
    n_strangers: int

    @property
    def n_missing(self) -> int:
        """Observations without a vector."""
        return int((~self.found).sum())


def concatenated(
    representations: Mapping[str, Matrix], weights: Mapping[str, float] | None = None
) -> Matrix:
    """Representations side by side, each of unit length before it is weighted.

    The dot product of two rows is the weighted mean of their cosines in each representation.

    Parameters
    ----------
    representations
        Observations × dimensions by name, row by row the same observations.
    weights
        Weight of each name; none: all alike. They are scaled to sum to 1.

    Returns
    -------
    ndarray of float32
        Observations × sum of the dimensions, unit length, in the order of the names given.

    Raises
    ------
    ValueError
        If rows differ in number, a row is zero or not finite, or weights are not positive.
    """
    shares = _shares(representations, weights)
    scaled = [
        unit_rows(name, matrix) * np.float32(shares[name] ** 0.5)
        for name, matrix in representations.items()
    ]
    if len({len(one) for one in scaled}) > 1:
        sizes = {name: len(matrix) for name, matrix in representations.items()}
        raise ValueError(f"representations are not of the same observations: {sizes}")
    return np.concatenate(scaled, axis=1)


def averaged_similarity(
    queries: Mapping[str, Matrix],
    references: Mapping[str, Matrix],
    weights: Mapping[str, float] | None = None,
) -> Matrix:
    """Weighted mean of the cosines in each representation: queries × references.

    What Chen & Zou's ensemble of neighbours ranks by. Raises as `concatenated`.
    """
    if list(queries) != list(references):
        raise ValueError(f"queries are in {list(queries)}, references in {list(references)}")
    return concatenated(queries, weights) @ concatenated(references, weights).T


def unit_rows(name: str, matrix: npt.NDArray[Any]) -> Matrix:
    """Rows scaled to unit length, as float32.

    Raises
    ------
    ValueError
        If a row is zero or not finite.
    """
    exact = np.asarray(matrix, np.float64)
    norm = np.linalg.norm(exact, axis=1, keepdims=True)
    wrong = np.flatnonzero(~(np.isfinite(norm[:, 0]) & (norm[:, 0] > 0)))
    if wrong.size:
        raise ValueError(
            f"representation {name!r}: row {wrong[0]} and {wrong.size - 1} others are zero or "
            "not finite: they have no direction"
        )
    return np.asarray(exact / norm, np.float32)


def read_outside_vectors(
    path: Path, observation_ids: Sequence[str], key: str = "embedding"
) -> OutsideVectors:
    """Vectors of scGPT, Geneformer … joined to a collection by observation id.

    Parameters
    ----------
    path
        An h5ad file, or parquet with a column `observation_id`.
    observation_ids
        The collection's observations, in its order.
    key
        Name in `obsm` (such as ``X_scGPT``), or of the parquet column of lists.

    Raises
    ------
    OutsideVectorsError
        If the vectors are not there, an id is empty or doubled, a vector is of another
        length, not finite or all zero, or not one id is the collection's.
    """
    ids, vectors = (_read_h5ad if path.suffix == ".h5ad" else _read_parquet)(path, key)
    return join_outside_vectors(path.name, ids, vectors, observation_ids)


def join_outside_vectors(
    name: str, ids: Sequence[str], vectors: npt.NDArray[Any], observation_ids: Sequence[str]
) -> OutsideVectors:
    """Vectors of `ids` in the order of `observation_ids`; raises as `read_outside_vectors`."""
    if vectors.ndim != 2 or len(ids) != len(vectors) or not vectors.shape[1]:
        raise OutsideVectorsError(f"{name}: {len(ids)} ids for vectors of shape {vectors.shape}")
    row_of = {one: row for row, one in enumerate(ids)}
    if len(row_of) < len(ids):
        doubled = next(one for row, one in enumerate(ids) if row_of[one] != row)
        raise OutsideVectorsError(
            f"{name}: several vectors for {doubled!r}: make ids unique, by sample and barcode"
        )
    try:
        unit_rows(name, vectors)
    except ValueError as error:
        raise OutsideVectorsError(str(error)) from None
    rows = np.array([row_of.get(one, -1) for one in observation_ids], dtype=np.int64)
    found = rows >= 0
    if not found.any():
        raise OutsideVectorsError(
            f"{name}: not one of its {len(ids)} ids, such as {list(ids)[:1]}, is the "
            f"collection's, such as {list(observation_ids)[:1]}"
        )
    return OutsideVectors(
        found, np.asarray(vectors[rows[found]], np.float32), len(ids) - int(found.sum())
    )


def _read_h5ad(path: Path, key: str) -> tuple[list[str], npt.NDArray[Any]]:
    import h5py

    with h5py.File(path) as file:
        known = sorted(file["obsm"]) if "obsm" in file else []
        if key not in known or not isinstance(file["obsm"][key], h5py.Dataset):
            raise OutsideVectorsError(f"{path.name}: no matrix {key!r} in obsm; it has {known}")
        obs = file["obs"]
        ids = obs[obs.attrs["_index"]].asstr()[:].tolist()
        return ids, file["obsm"][key][:]


def _read_parquet(path: Path, key: str) -> tuple[list[str], npt.NDArray[Any]]:
    names = pq.read_schema(path).names
    if lacking := sorted({"observation_id", key} - set(names)):
        raise OutsideVectorsError(f"{path.name}: no columns {lacking}; it has {names}")
    rows = pq.read_table(path, columns=["observation_id", key])
    ids, lists = rows["observation_id"].to_pylist(), rows[key].to_pylist()
    if None in ids or None in lists:
        raise OutsideVectorsError(f"{path.name}: empty ids or vectors")
    if len(lengths := {len(one) for one in lists}) != 1:
        raise OutsideVectorsError(f"{path.name}: vectors are of lengths {sorted(lengths)}")
    return ids, np.array(lists, np.float32)


def _shares(
    representations: Mapping[str, Matrix], weights: Mapping[str, float] | None
) -> dict[str, float]:
    if not representations:
        raise ValueError("an ensemble needs at least one representation")
    weights = dict.fromkeys(representations, 1.0) if weights is None else weights
    if set(weights) != set(representations) or min(weights.values()) <= 0:
        raise ValueError(
            f"weights {dict(weights)} are not positive, one for each of {list(representations)}"
        )
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}
