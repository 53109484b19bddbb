"""Several representations of the same observations as one.

Vectors of different spaces are never added up: they stand side by side, scaled so that the
cosine of two rows is the weighted mean of their cosines in each. So concatenation and averaged
similarity are one thing. Declared in `ensembles.toml`, and in the user's own recipes file.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from genept.embeddings.expression import embedding_matrix
from genept.embeddings.pooling import TABLE_OF_KIND, embedding_batches
from genept.embeddings.registered_observation_vectors import RegisteredVectors, origin_part
from genept.storage import Lake, NewPart, Origin, Part, sha256_of
from genept.text import declared_entries, space_of

METHOD: Final = "ensemble"
MEMBERS: Final = ("genept-w", "genept-s", "outside")
CODE: Final = (
    "genept.embeddings.ensembles",
    "genept.embeddings.registered_observation_vectors",
    "genept.embeddings.pooling",
    "genept.schema.tables",
)
Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Ensemble:
    """A declared ensemble.

    Parameters
    ----------
    id
        Id of its space.
    weights
        Weight of each member (``space:method``).
    """

    id: str
    weights: Mapping[str, float]

    @property
    def members(self) -> tuple[tuple[str, str], ...]:
        """Space and method of each, in the order in which their vectors stand."""
        return tuple((space, method) for space, _, method in map(_split, self.weights))


@cache
def declared_ensembles(further: Path | None = None) -> tuple[Ensemble, ...]:
    """Return every declared ensemble.

    Parameters
    ----------
    further
        A file of the user's own declarations; None: only those of the platform.

    Returns
    -------
    tuple of Ensemble
        In the order of declaration.

    Raises
    ------
    SourceError
        A declaration is invalid, or made twice.
    """
    return tuple(declared_entries("genept.embeddings", "ensembles", further, _declared))


def release_ensemble(
    lake: Lake,
    ensemble: Ensemble,
    kind: str,
    collection: str,
    embeddings: Sequence[Part],
    outside: Sequence[RegisteredVectors],
) -> list[Part]:
    """Build an ensemble of one collection, unless the lake holds it.

    It holds the observations that have a vector in every member.

    Parameters
    ----------
    lake
        Where the tables are stored.
    ensemble
        The ensemble.
    kind
        Kind of the collection.
    collection
        Id of the collection.
    embeddings
        Parts of `cell_embeddings` or `sample_embeddings`; those of the members are used.
    outside
        Registered vectors, whose terms apply to the ensemble.

    Returns
    -------
    list of Part
        Of the same table as `embeddings`, and of `embedding_origins`. Empty if a member has no
        vectors of the collection: see `missing_members`.
    """
    if missing_members(ensemble, collection, embeddings):
        return []
    members = {
        f"{space}:{method}": [
            part for part in embeddings if part.partition == (space, method, collection)
        ]
        for space, method in ensemble.members
    }
    mixed = [
        vectors
        for vectors in outside
        if vectors.collection == collection and f"{vectors.space}:outside" in members
    ]
    content = {name: sha256_of([part.sha256 for part in parts]) for name, parts in members.items()}
    origin = Origin(
        code=CODE,
        inputs=content,
        settings={
            "weights": dict(ensemble.weights), "kind": kind,
            "terms": [vectors.model_dump_json() for vectors in mixed],
        },
        libraries=("numpy",),
    )  # fmt: skip
    table, partition = TABLE_OF_KIND[kind], (ensemble.id, METHOD, collection)
    dimensions = sum(parts[0].dimension or 0 for parts in members.values())

    def compute() -> Iterator[NewPart]:
        joined = 0
        for number in sorted({part.number for parts in members.values() for part in parts}):
            of_shard = {name: it for name in members for it in members[name] if it.number == number}
            if len(of_shard) == len(members):
                ids, vectors, coverage = _together(lake, of_shard, ensemble.weights)
                joined += len(ids)
                batches = embedding_batches(table, partition, ids, vectors, coverage)
                if ids:
                    yield NewPart(table, batches, partition, dimensions, number)
        yield origin_part(
            collection_id=collection,
            space=ensemble.id,
            method=METHOD,
            made_of=[f"{weight:g} × {name}" for name, weight in ensemble.weights.items()],
            dimensions=dimensions,
            n_observations=max(
                sum(vectors.rows for vectors in parts) for parts in members.values()
            ),
            n_joined=joined,
            n_strangers=0,
            redistributable=all(vectors.redistributable for vectors in mixed),
            **{
                term: "; ".join(dict.fromkeys(getattr(vectors, term) for vectors in mixed))
                or "the collection's"
                for term in ("licence", "citation")
            },
        )

    step = f"embeddings/{ensemble.id}/{METHOD}/{collection}"
    return lake.build(step, origin, lambda: list(compute()))


def missing_members(
    ensemble: Ensemble, collection: str, embeddings: Sequence[Part]
) -> tuple[str, ...]:
    """Return the members of an ensemble that have no vectors of a collection.

    Parameters
    ----------
    ensemble
        The ensemble.
    collection
        Id of the collection.
    embeddings
        Parts of `cell_embeddings` or `sample_embeddings`.

    Returns
    -------
    tuple of str
        ``space:method`` each.
    """
    there = {part.partition for part in embeddings}
    return tuple(
        f"{space}:{method}"
        for space, method in ensemble.members
        if (space, method, collection) not in there
    )


def concatenated(
    representations: Mapping[str, Matrix], weights: Mapping[str, float] | None = None
) -> Matrix:
    """Representations side by side, each of unit length before it is weighted.

    The dot product of two rows is the weighted mean of their cosines in each representation:
    what an ensemble of neighbours ranks by.

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
    if len({len(matrix) for matrix in scaled}) > 1:
        sizes = {name: len(matrix) for name, matrix in representations.items()}
        raise ValueError(f"representations are not of the same observations: {sizes}")
    return np.concatenate(scaled, axis=1)


def unit_rows(name: str, matrix: NDArray[Any]) -> Matrix:
    """Rows scaled to unit length, as float32; raises `ValueError` if one is zero or not finite."""
    exact = np.asarray(matrix, np.float64)
    norm = np.linalg.norm(exact, axis=1, keepdims=True)
    wrong = np.flatnonzero(~(np.isfinite(norm[:, 0]) & (norm[:, 0] > 0)))
    if wrong.size:
        raise ValueError(
            f"representation {name!r}: row {wrong[0]} and {wrong.size - 1} others are zero or "
            "not finite: they have no direction"
        )
    return np.asarray(exact / norm, np.float32)


def _declared(id: str, of: list[str], weights: list[float] | None = None) -> Ensemble:
    if len(set(of)) < 2 or len(set(of)) < len(of):
        raise ValueError("`of` names two representations or more, each once")
    for name in of:
        _, colon, method = _split(name)
        if not colon or method not in MEMBERS:
            raise ValueError(f"{name!r} is no space:method; methods are {', '.join(MEMBERS)}")
    weights = [1.0] * len(of) if weights is None else weights
    if len(weights) != len(of) or min(weights) <= 0:
        raise ValueError("`weights` are positive numbers, one for each of `of`")
    return Ensemble(space_of(id).id, dict(zip(of, map(float, weights), strict=True)))


def _split(name: str) -> tuple[str, str, str]:
    space, colon, method = name.rpartition(":")
    return (space_of(space).id if colon else "", colon, method)


def _together(
    lake: Lake, members: Mapping[str, Part], weights: Mapping[str, float]
) -> tuple[list[str], Matrix, Matrix]:
    """Ids, vectors and coverage of the observations of one shard that every member has."""
    columns = ["observation_id", "embedding", "coverage"]
    rows = {name: lake.read_arrow(part, columns) for name, part in members.items()}
    common = set.intersection(*(set(of_member[0].to_pylist()) for of_member in rows.values()))
    if not common:
        return [], np.empty((0, 1), np.float32), np.empty(0, np.float32)
    kept = {name: own.filter(pc.is_in(own[0], pa.array(common))) for name, own in rows.items()}
    vectors = {name: embedding_matrix(of_member) for name, of_member in kept.items()}
    shares = _shares(kept, weights)
    coverage = sum(rows["coverage"].to_numpy() * shares[name] for name, rows in kept.items())
    return sorted(common), concatenated(vectors, weights), np.asarray(coverage, np.float32)


def _shares(names: Mapping[str, object], weights: Mapping[str, float] | None) -> dict[str, float]:
    if not names:
        raise ValueError("an ensemble needs at least one representation")
    weights = dict.fromkeys(names, 1.0) if weights is None else weights
    if set(weights) != set(names) or min(weights.values()) <= 0:
        raise ValueError(f"weights {dict(weights)} are not positive, one for each of {list(names)}")
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}
