"""Registered vectors of observations that another model made (scGPT, Geneformer …), joined by id.

A registration is a declaration and the vectors that it names by hash, both in the bucket and never
rewritten. They are joined to a collection's observations when a release is built, because the
collection may have changed by then. Reading files is `genept.datasources`.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from genept.common import ConflictError, SourceError, StoreError
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
    declare,
    read_declarations,
    sha256_of,
)
from genept.text.embedders import space_of

REGISTERED: Final = "outside"
CODE: Final = (
    "genept.embeddings.registered_observation_vectors",
    "genept.embeddings.pooling",
    "genept.schema.tables",
)


class RegisteredVectors(BaseModel):
    """The declaration of one collection's vectors in the space of another model.

    Parameters
    ----------
    space, collection
        Ids of both.
    table_sha256
        SHA-256 of the stored table, which is part of its key.
    dimensions, n_vectors
        Length and number of the vectors.
    shortest, longest
        Smallest and largest Euclidean length in the user's file.
    file, file_sha256
        Name and SHA-256 of that file.
    licence, redistributable, citation
        Terms of use.
    registered
        When, in UTC.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    space: str
    collection: str
    table_sha256: str
    dimensions: int
    n_vectors: int
    shortest: float
    longest: float
    file: str
    file_sha256: str
    licence: str
    redistributable: bool
    citation: str
    registered: datetime


@dataclass(frozen=True)
class Joined:
    """Ids of vectors joined to ids of observations, each sorted.

    Parameters
    ----------
    found
        Observations with a vector.
    without_vector
        Observations without one.
    strangers
        Ids of vectors that are of no observation.
    """

    found: list[str]
    without_vector: list[str]
    strangers: list[str]

    @classmethod
    def of(cls, ids: Sequence[str], observations: Sequence[str]) -> Joined:
        """Join ids of vectors to ids of observations.

        Parameters
        ----------
        ids
            Of the vectors.
        observations
            Of the collection.

        Returns
        -------
        Joined
            The three sets of ids.
        """
        vectors, known = set(ids), set(observations)
        return cls(sorted(vectors & known), sorted(known - vectors), sorted(vectors - known))


def list_registered_vectors(store: ObjectStore, product: str) -> list[RegisteredVectors]:
    """List the registered vectors of observations.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.

    Returns
    -------
    list of RegisteredVectors
        By collection and space.
    """
    return read_declarations(store, _folder(product), RegisteredVectors, "table of outside vectors")


def register(
    store: ObjectStore,
    product: str,
    space: str,
    collection: str,
    table: VectorTable,
    *,
    file: str,
    file_sha256: str,
    licence: str,
    redistributable: bool,
    citation: str,
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
    file, file_sha256
        Name and hash of the file they come from.
    licence, redistributable, citation
        Terms of the vectors.

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
    content = _content(table.names, units)
    new = RegisteredVectors(
        space=space,
        collection=collection,
        table_sha256=hashlib.sha256(content).hexdigest(),
        dimensions=units.shape[1],
        n_vectors=len(units),
        shortest=float(lengths.min()),
        longest=float(lengths.max()),
        file=file,
        file_sha256=file_sha256,
        licence=licence,
        redistributable=redistributable,
        citation=citation,
        registered=datetime.now(UTC).replace(microsecond=0),
    )
    for other in list_registered_vectors(store, product):
        if other.space == space and other.dimensions != new.dimensions:
            raise SourceError(
                f"{file}: vectors of {new.dimensions} dimensions, but {space!r} has "
                f"{other.dimensions} in collection {other.collection!r}: another model is another "
                "space; choose another id"
            )
    store.put_if_absent(_table_key(product, new.table_sha256), content)
    try:
        declare(store, _key(product, collection, space), new)
    except ConflictError:
        raise StoreError(
            f"collection {collection!r} has vectors in {space!r} already, and what is registered "
            "is not rewritten: choose another id, or remove them first"
        ) from None
    return new


def remove(store: ObjectStore, product: str, space: str, collection: str) -> None:
    """Remove a declaration: the next release does not hold the vectors.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.
    space, collection
        Ids of space and collection.

    Raises
    ------
    StoreError
        There is no such declaration.
    """
    known = [
        (declared.space, declared.collection)
        for declared in list_registered_vectors(store, product)
    ]
    if (space, collection) not in known:
        there = ", ".join(f"{name} of {of}" for name, of in known) or "none"
        raise StoreError(
            f"no vectors {space!r} of {collection!r} are registered; there are {there}"
        )
    store.delete([_key(product, collection, space)])


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
        ids, vectors = _stored(lake, product, declared)
        row_of = {id_: row for row, id_ in enumerate(ids)}
        observations = [(part.number, _ids(lake, part)) for part in expression]
        table, partition = TABLE_OF_KIND[kind], (declared.space, REGISTERED, declared.collection)
        for number, of_part in observations:
            if matched := sorted(id_ for id_ in of_part if id_ in row_of):
                rows = vectors[[row_of[id_] for id_ in matched]]
                batches = embedding_batches(table, partition, matched, rows)
                yield NewPart(table, batches, partition, declared.dimensions, number)
        joined = Joined.of(ids, [id_ for _, of_part in observations for id_ in of_part])
        yield from _accounts(declared, joined)

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


def origin_row(**values: object) -> pl.DataFrame:
    """One row of table `embedding_origins`."""
    schema = TABLES["embedding_origins"].schema()
    return pl.DataFrame(pl.from_arrow(pa.Table.from_pylist([values], schema=schema)))


def _accounts(declared: RegisteredVectors, joined: Joined) -> Iterator[NewPart]:
    place = {"collection_id": declared.collection, "space": declared.space}
    partition = (declared.collection, declared.space)
    row = origin_row(
        **place,
        method=REGISTERED,
        made_of=[declared.file],
        file_sha256=declared.file_sha256,
        dimensions=declared.dimensions,
        n_observations=len(joined.found) + len(joined.without_vector),
        n_joined=len(joined.found),
        n_strangers=len(joined.strangers),
        shortest=declared.shortest,
        longest=declared.longest,
        licence=declared.licence,
        redistributable=declared.redistributable,
        citation=declared.citation,
        registered=f"{declared.registered:%Y-%m-%dT%H:%M:%SZ}",
    )
    yield NewPart("embedding_origins", row, partition)
    unmatched = {"no_vector": joined.without_vector, "no_observation": joined.strangers}
    rows = pl.DataFrame(
        [
            {**place, "observation_id": id_, "reason": reason}
            for reason, ids in unmatched.items()
            for id_ in ids
        ],
        schema=dict.fromkeys((*place, "observation_id", "reason"), pl.String),
    )
    yield NewPart("unmatched_vectors", rows, partition)


def _stored(
    lake: Lake, product: str, declared: RegisteredVectors
) -> tuple[list[str], npt.NDArray[np.float32]]:
    key = _table_key(product, declared.table_sha256)
    content = lake.store.get(key)
    if hashlib.sha256(content).hexdigest() != declared.table_sha256:
        raise StoreError(
            f"{lake.store.uri(key)} is damaged: its content does not match its name; remove the "
            f"vectors {declared.space!r} of {declared.collection!r} and add them again"
        )
    rows = pq.read_table(pa.BufferReader(content))
    return rows["observation_id"].to_pylist(), embedding_matrix(rows)


def _ids(lake: Lake, part: Part) -> list[str]:
    ids: list[str] = lake.read_arrow(part, ["observation_id"])["observation_id"].to_pylist()
    return ids


def _content(ids: Sequence[str], units: npt.NDArray[np.float32]) -> bytes:
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(units.ravel()), units.shape[1])
    rows = pa.table({"observation_id": pa.array(ids, pa.string()), "embedding": vectors})
    body = io.BytesIO()
    pq.write_table(rows, body, compression="zstd")
    return body.getvalue()


def _folder(product: str) -> str:
    return f"{product}/spaces/outside/"


def _key(product: str, collection: str, space: str) -> str:
    return f"{_folder(product)}{collection}/{space_of(space).id}.json"


def _table_key(product: str, sha256: str) -> str:
    return f"{product}/spaces/tables/{sha256}.parquet"
