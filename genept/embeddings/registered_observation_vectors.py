"""Registered vectors of observations that another model made (scGPT, Geneformer …), joined by id.

A registration is a declaration and the vectors that it names by hash; both are kept as
`genept.storage.registrations` says. They are joined to a collection's observations when a release
is built, because the collection may have changed by then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
import pyarrow as pa

from genept.common import SourceError
from genept.datasources.readers import VectorTable, unit_vectors
from genept.embeddings.expression import embedding_matrix
from genept.embeddings.pooling import TABLE_OF_KIND, embedding_batches
from genept.schema.tables import TABLES
from genept.storage import (
    Lake,
    NewPart,
    ObjectStore,
    Origin,
    Part,
    Registrations,
    VectorFile,
    get_table,
    sha256_of,
)
from genept.text import StoredVectors, embedding_column, space_of, stored_vectors

REGISTERED: Final = "outside"
CODE: Final = (
    "genept.embeddings.registered_observation_vectors",
    "genept.embeddings.pooling",
    "genept.schema.tables",
)


class RegisteredVectors(StoredVectors):
    """The declaration of one collection's vectors in the space of another model.

    Parameters
    ----------
    space, collection
        Ids of both.
    n_vectors
        Number of the vectors.
    """

    space: str
    collection: str
    n_vectors: int


@dataclass(frozen=True)
class Joined:
    """Ids of vectors joined to ids of observations, each sorted.

    Parameters
    ----------
    matched
        Observations with a vector.
    without_vector
        Observations without one.
    strangers
        Ids of vectors that are of no observation.
    """

    matched: list[str]
    without_vector: list[str]
    strangers: list[str]

    @classmethod
    def of(cls, ids: Sequence[str], observations: Sequence[str]) -> Joined:
        """Join ids of vectors to ids of a collection's observations."""
        vectors, known = set(ids), set(observations)
        return cls(sorted(vectors & known), sorted(known - vectors), sorted(vectors - known))


def registered_vectors(store: ObjectStore, product: str) -> Registrations[RegisteredVectors]:
    """Open the registered vectors of observations.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.

    Returns
    -------
    Registrations of RegisteredVectors
        By ``collection/space``.
    """
    folder = f"{product}/spaces/outside/"
    return Registrations(store, folder, RegisteredVectors, "table of outside vectors")


def register_vectors(
    store: ObjectStore,
    product: str,
    space: str,
    collection: str,
    table: VectorTable,
    file: VectorFile,
) -> RegisteredVectors:
    """Store vectors at unit length, and declare them as a collection's vectors in a space.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.
    space, collection
        Ids of space and collection.
    table
        Observation ids and vectors.
    file
        The file they come from, and its terms.

    Returns
    -------
    RegisteredVectors
        The declaration.

    Raises
    ------
    SourceError
        An id occurs twice, a vector is not finite or all zero, or the space has vectors of another
        length in another collection.
    StoreError
        The collection has vectors in this space already.
    """
    units, lengths = unit_vectors(table)
    registered = registered_vectors(store, product)
    for other in registered.all():
        if other.space == space and other.dimensions != units.shape[1]:
            raise SourceError(
                f"{file.file}: vectors of {units.shape[1]} dimensions, but {space!r} has "
                f"{other.dimensions} in collection {other.collection!r}: another model is another "
                "space; choose another id"
            )
    id_ = f"{collection}/{space_of(space).id}"
    ids = pa.array(table.names, pa.string())
    rows = pa.table({"observation_id": ids, "embedding": embedding_column(units)})
    declared = RegisteredVectors(
        **file.model_dump(),
        **stored_vectors(store, product, rows, (float(lengths.min()), float(lengths.max()))),
        space=space,
        collection=collection,
        n_vectors=len(units),
    )
    return registered.add(id_, declared)


def release_registered_vectors(
    lake: Lake, declared: RegisteredVectors, kind: str, expression: Sequence[Part], *, product: str
) -> list[Part]:
    """Build the tables of registered vectors for a release, unless the lake holds them.

    Parameters
    ----------
    lake
        Where the tables are stored.
    declared
        The declaration.
    kind
        Kind of the collection.
    expression
        All of the collection's parts of table `expression`.
    product
        Key prefix of the installation.

    Returns
    -------
    list of Part
        Of `cell_embeddings` or `sample_embeddings`, one for each part of `expression` that has
        observations with a vector (`coverage` is 1); of `embedding_origins`; and of
        `unmatched_vectors`.

    Raises
    ------
    StoreError
        The stored vectors are damaged.
    """
    origin = Origin(
        code=CODE,
        inputs={
            "vectors": declared.table_sha256,
            "expression": sha256_of([part.sha256 for part in expression]),
        },
        settings={"kind": kind, "declaration": declared.model_dump_json()},
        libraries=("numpy",),
    )

    def compute() -> Iterator[NewPart]:
        remedy = (
            f"remove the vectors {declared.space!r} of {declared.collection!r} and add them again"
        )
        key = f"{product}/spaces/tables/{declared.table_sha256}.parquet"
        rows = get_table(lake.store, key, remedy)
        ids, vectors = rows["observation_id"].to_pylist(), embedding_matrix(rows)
        row_of = {id_: row for row, id_ in enumerate(ids)}
        table, partition = TABLE_OF_KIND[kind], (declared.space, REGISTERED, declared.collection)
        observations: list[str] = []
        for part in expression:
            of_part = lake.read_arrow(part, ["observation_id"])["observation_id"].to_pylist()
            observations += of_part
            if matched := sorted(id_ for id_ in of_part if id_ in row_of):
                batches = embedding_batches(
                    table, partition, matched, vectors[[row_of[id_] for id_ in matched]]
                )
                yield NewPart(table, batches, partition, declared.dimensions, part.number)
        yield from _accounts(declared, Joined.of(ids, observations))

    step = f"embeddings/{declared.space}/{REGISTERED}/{declared.collection}"
    return lake.build(step, origin, lambda: list(compute()))


def join_summary(lake: Lake, parts: Sequence[Part]) -> str:
    """Summarise how many observations have a registered vector.

    Parameters
    ----------
    lake
        Where the tables are stored.
    parts
        As `release_registered_vectors` returns them.

    Returns
    -------
    str
        One line.
    """
    (origins,) = [part for part in parts if part.table == "embedding_origins"]
    (row,) = lake.read(origins).rows(named=True)
    return (
        f"{row['n_joined']:,} of {row['n_observations']:,} observations have a vector; "
        f"{row['n_strangers']:,} vectors are of no observation"
    )


def origin_part(**values: Any) -> NewPart:
    """A part of table `embedding_origins`: one row, of one space and collection."""
    row = pa.Table.from_pylist([values], schema=TABLES["embedding_origins"].schema())
    return NewPart("embedding_origins", row, (values["collection_id"], values["space"]))


def _accounts(declared: RegisteredVectors, joined: Joined) -> Iterator[NewPart]:
    place = {"collection_id": declared.collection, "space": declared.space}
    terms = declared.model_dump(
        exclude={"space", "collection", "table_sha256", "n_vectors", "file", "registered"}
    )
    yield origin_part(
        **place,
        **terms,
        method=REGISTERED,
        made_of=[declared.file],
        n_observations=len(joined.matched) + len(joined.without_vector),
        n_joined=len(joined.matched),
        n_strangers=len(joined.strangers),
        registered=f"{declared.registered:%Y-%m-%dT%H:%M:%SZ}",
    )
    unmatched = {"no_vector": joined.without_vector, "no_observation": joined.strangers}
    rows = pl.DataFrame(
        [
            {**place, "observation_id": id_, "reason": reason}
            for reason, ids in unmatched.items()
            for id_ in ids
        ],
        schema=dict.fromkeys((*place, "observation_id", "reason"), pl.String),
    )
    yield NewPart("unmatched_vectors", rows, tuple(place.values()))
