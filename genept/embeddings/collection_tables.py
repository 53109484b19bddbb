"""Tables of several collections, as one step reads them, and every collection's part of them.

What is embedded, scored and learned of a collection starts here; nothing is computed from values.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genept.common import StoreError
from genept.datasources import Collection, OntologyTerm
from genept.embeddings.ensembles import Ensemble, missing_members, release_ensemble
from genept.embeddings.pooled_shards import Shard, shards_of
from genept.embeddings.pooling import METHOD, TABLE_OF_KIND
from genept.embeddings.registered_observation_vectors import (
    RegisteredVectors,
    join_summary,
    release_registered_vectors,
)
from genept.embeddings.representations import CollectionParts, Sampling, chosen, label_of
from genept.embeddings.sentences import Caps, CountingTextEmbedder, embed_sentences
from genept.storage import Lake, Part, StoredTable
from genept.text import Runner, Space

SHARE_COVERED: Final = 0.8
"""Minimum share of a collection's observations that a representation must have: all representations
are scored on the observations that each of them has."""


EmbedNames = Callable[[Space], Callable[[Sequence[str]], NDArray[np.float32]] | None]


@dataclass(frozen=True)
class CollectionTables:
    """Tables of the lake, and the collections and spaces whose parts of them are read.

    Parameters
    ----------
    lake
        Where the tables are stored.
    tables
        The tables that are read, by name.
    collections
        The chosen collections; one that a user added may be missing in the tables.
    spaces
        The chosen spaces.
    embed_names
        Opens the text model of a space, to embed names of cell types; None where it is not on this
        machine, or the space is of no model.
    ontology, ontology_version
        Reads terms that labels mean, by id; changes with them.
    """

    lake: Lake
    tables: Mapping[str, StoredTable]
    collections: Sequence[Collection]
    spaces: Sequence[Space]
    embed_names: EmbedNames = lambda _: None
    ontology: Callable[[], Mapping[str, OntologyTerm]] = dict
    ontology_version: str = ""

    def ingested(self, *kinds: str) -> list[Collection]:
        """The chosen collections of these kinds, or of any, that table `expression` holds."""
        return [
            collection
            for collection in self.collections
            if collection.kind in (kinds or TABLE_OF_KIND) and self.expression(collection)
        ]

    def expression(self, collection: Collection) -> list[Part]:
        """A collection's parts of table `expression`, one per shard."""
        return self.tables["expression"].matching(collection.id)

    def axis(self, collection: Collection) -> Part:
        """A collection's part of table `gene_axis`."""
        return self.tables["gene_axis"].part(collection.id)

    @property
    def gene_vectors(self) -> dict[str, Part]:
        """Part of table `gene_embeddings`, by id of the space."""
        return {space.id: self.tables["gene_embeddings"].part(space.id) for space in self.spaces}

    def shards(self, *kinds: str) -> list[Shard]:
        """What is to be embedded of the collections of these kinds, in every space."""
        return [
            shard
            for collection in self.ingested(*kinds)
            for vectors in self.gene_vectors.values()
            for shard in self.shards_of(collection, vectors)
        ]

    def shards_of(self, collection: Collection, vectors: Part) -> list[Shard]:
        """What is to be embedded of a collection in one space, of these gene vectors."""
        expression, axis = self.expression(collection), self.axis(collection)
        what = (collection.kind, collection.unit, vectors, axis, expression)
        return shards_of(*what, per_kilobase=collection.per_kilobase)

    def parts(self, collection: Collection) -> CollectionParts:
        """What benchmarks and models read of a collection: expression, and GenePT-w in each space.

        Raises
        ------
        StoreError
            The collection is not embedded in one of the spaces.
        """
        embeddings = self.tables[TABLE_OF_KIND[collection.kind]]
        by_space = {
            space: tuple(embeddings.matching(space.id, METHOD, collection.id))
            for space in self.spaces
        }
        if missing := [space.id for space, shards in by_space.items() if not shards]:
            raise StoreError(
                f"{collection.id} is not embedded in {', '.join(missing)}: materialise those "
                "partitions of observation_vectors first"
            )
        return CollectionParts(
            observations=self.tables["observations"].part(collection.id),
            axis=self.axis(collection),
            expression=tuple(self.expression(collection)),
            embeddings=by_space,
            per_kilobase=collection.per_kilobase,
        )

    def with_further(
        self, parts: CollectionParts, collection: Collection
    ) -> tuple[CollectionParts, dict[str, str]]:
        """`parts` with the vectors of other methods, and the reasons why some are left out."""
        shards_by_name: dict[str, list[Part]] = {}
        for part in self.tables[TABLE_OF_KIND[collection.kind]].parts:
            space, method, collection_id = part.partition
            if collection_id == collection.id and method != METHOD:
                shards_by_name.setdefault(f"{space}:{method}", []).append(part)
        total = parts.observations.rows
        further, left_out = {}, {}
        for name, shards in shards_by_name.items():
            rows = sum(part.rows for part in shards)
            if rows < SHARE_COVERED * total:
                left_out[f"{collection.id}/{name}"] = (
                    f"has {rows:,} of {total:,} observations, and {SHARE_COVERED:.0%} are required"
                )
            else:
                further[name] = tuple(shards)
        return replace(parts, further=further), left_out


def embed_samples(
    of: CollectionTables,
    kind: str,
    cap: int,
    open_embedder: Callable[[], CountingTextEmbedder],
    runner: Runner,
    say: Callable[[str], None],
) -> tuple[list[Part], dict[str, str]]:
    """Embed a sample of every collection's observations as sentences (GenePT-s).

    Parameters
    ----------
    of
        The collections and their tables.
    kind
        Kind of the collections, the others are left out.
    cap
        How many observations of a collection are embedded at most; 0: none.
    open_embedder
        Opens the text model; called only if something is embedded.
    runner
        Runs the batches of texts.
    say
        Called with the forecast before the first request.

    Returns
    -------
    parts : list of Part
        Of `cell_embeddings` or `sample_embeddings`, with method ``genept-s``.
    remarks : dict
        How a collection was sampled, by ``collection/sentences``.
    """
    parts: list[Part] = []
    remarks: dict[str, str] = {}
    for collection in of.ingested(kind) if cap else ():
        observations = of.tables["observations"].part(collection.id)
        sentences = embed_sentences(
            of.lake,
            kind=kind,
            unit=collection.unit,
            observations=observations,
            axis=of.axis(collection),
            expression=of.expression(collection),
            embedder=open_embedder(),
            product=of.lake.product,
            sampling=Sampling(cap, label_of(of.lake.read(observations))),
            caps=Caps(texts=cap),
            runner=runner,
            say=say,
        )
        if sentences:
            remarks[f"{collection.id}/sentences"] = chosen(sentences[0])
        parts += sentences
    return parts, remarks


def release_further_vectors(
    of: CollectionTables,
    known: Sequence[Part],
    registered: Sequence[RegisteredVectors],
    ensembles: Sequence[Ensemble],
    kinds: Sequence[str] = tuple(TABLE_OF_KIND),
) -> tuple[list[Part], dict[str, str]]:
    """Build registered vectors and ensembles of every collection, unless the lake holds them.

    Parameters
    ----------
    of
        The collections and their tables.
    known
        Parts of `cell_embeddings` and `sample_embeddings`, of which ensembles are made.
    registered, ensembles
        Declarations of vectors of other models, and of ensembles.
    kinds
        Kinds of the collections, the others are left out.

    Returns
    -------
    parts : list of Part
        Of `cell_embeddings` or `sample_embeddings`, `embedding_origins` and `unmatched_vectors`.
    remarks : dict
        How many observations have a registered vector, and why an ensemble was not made, by
        ``collection/space``.
    """
    released: list[Part] = []
    remarks: dict[str, str] = {}
    for collection in of.ingested(*kinds):
        own = [vectors for vectors in registered if vectors.collection == collection.id]
        parts: list[Part] = []
        for vectors in own:
            joined = release_registered_vectors(
                *(of.lake, vectors, collection.kind, of.expression(collection)),
                product=of.lake.product,
            )
            parts += joined
            remarks[f"{collection.id}/{vectors.space}"] = join_summary(of.lake, joined)
        members = [*known, *parts]
        for ensemble in ensembles:
            if missing := missing_members(ensemble, collection.id, members):
                remarks[f"{collection.id}/{ensemble.id}"] = (
                    f"not made: no vectors of {', '.join(missing)}"
                )
                continue
            parts += release_ensemble(
                of.lake, ensemble, collection.kind, collection.id, members, own
            )
        released += parts
    return released, remarks
