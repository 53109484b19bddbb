"""Finds the parts of one collection among the tables that benchmarks and models are handed."""

from __future__ import annotations

from genept.embeddings.pooling import METHOD, TABLE_OF_KIND
from genept.embeddings.representations import CollectionParts
from genept.platform import Platform
from genept.sources.catalogue import Collection
from genept.store.lake import StoredTable

READ = ("observations", "gene_axis", "expression")
"""What every view needs besides the embeddings of its kind."""


def parts_of(
    platform: Platform, collection: Collection, tables: dict[str, StoredTable]
) -> CollectionParts:
    """The parts of `collection`, in every space that is built."""
    embeddings = tables[TABLE_OF_KIND[collection.kind]]
    return CollectionParts(
        observations=tables["observations"].part(collection.id),
        axis=tables["gene_axis"].part(collection.id),
        expression=tuple(tables["expression"].matching(collection.id)),
        embeddings={
            space: tuple(embeddings.matching(space.id, METHOD, collection.id))
            for space in platform.spaces
        },
    )
