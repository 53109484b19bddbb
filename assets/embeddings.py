"""Group `embeddings`: cells and bulk samples in every space, as sentences, and beyond GenePT."""

from collections.abc import Sequence
from itertools import groupby

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.collections import INGESTED
from assets.declarations import MEMORY, declared, declared_outs, described, inputs
from assets.lanes import POOLING_INPUTS
from assets.partitions import COLLECTIONS_IN_SPACES, along, collection_of, key_of, record_partitions
from assets.results import (
    Context,
    PartitionResult,
    PartitionTables,
    PlatformResource,
    TableResult,
    TableResults,
    partition_result,
    table_result,
    table_results,
)
from assets.text_spaces import SPACE_VECTORS
from genept import embeddings as library
from genept.release import shown_pictures
from genept.storage import StoredTable

VECTORS = dg.AssetKey("observation_vectors")
ACCOUNTS = ("embedding_origins", "unmatched_vectors")


@dg.asset(
    key=VECTORS,
    **described(
        "embeddings",
        "The cells or samples of one collection in one space. Materialise one to embed only it; "
        "the tables take the parts over.",
        "cell_embeddings",
    ),
    partitions_def=COLLECTIONS_IN_SPACES,
    ins={INGESTED.path[-1]: along("collection"), SPACE_VECTORS.path[-1]: along("space")},
    pool=MEMORY,
)
def observation_vectors(
    context: Context,
    platform: PlatformResource,
    ingested_collection: PartitionTables,
    space_vectors: PartitionTables,
) -> PartitionResult:
    """Embed one collection in one space."""
    (collection,) = platform.catalogue.chosen([collection_of(context)])
    (vectors,) = space_vectors["gene_embeddings"].parts
    shards = platform.collection_tables(ingested_collection).shards_of(collection, vectors)
    parts = library.embed_shards(platform.lake, shards, platform.settings.threads)
    return partition_result(platform.lake, parts)


def embedding_tables(lanes: Sequence[dg.AssetsDefinition] = ()) -> list[dg.AssetsDefinition]:
    """The tables of cells and of samples, below the lanes if there are any."""
    lane_keys = [lane.key for lane in lanes]
    return [_table(kind, table, lane_keys) for kind, table in library.TABLE_OF_KIND.items()]


def _table(kind: str, table: str, lane_keys: list[dg.AssetKey]) -> dg.AssetsDefinition:
    @dg.asset(
        **declared(table), ins=inputs(*POOLING_INPUTS, "observations"), deps=lane_keys, pool=MEMORY
    )
    def embeddings(
        context: Context, platform: PlatformResource, **tables: StoredTable
    ) -> TableResult:
        lake, settings = platform.lake, platform.settings
        of = platform.collection_tables(tables)
        parts = library.embed_shards(lake, of.shards(kind), settings.threads)
        by_space = groupby(parts, lambda part: key_of(part.partition[-1], part.partition[0]))
        record_partitions(context, lake, VECTORS, {key: list(own) for key, own in by_space})
        sentences, samples = platform.embed_sentences(of, kind, context.log.info)
        parts += sentences
        further, joins = library.release_further_vectors(
            of, parts, platform.outside, platform.ensembles, [kind]
        )
        stored = lake.assemble(table, [*parts, *further])
        drawn = library.pictures_of(lake, tables["observations"], stored)
        pictures = {name: (lake.store.uri(key), png) for name, (key, png) in drawn.items()}
        shown = dg.MetadataValue.md(shown_pictures(pictures))
        return table_result(stored, pictures=shown, **samples, **joins)

    return embeddings


@dg.multi_asset(
    outs=declared_outs(ACCOUNTS), ins=inputs("expression", *library.TABLE_OF_KIND.values())
)
def further_embeddings(platform: PlatformResource, **tables: StoredTable) -> TableResults:
    """Origins of registered vectors and ensembles, and the observations without a vector."""
    of = platform.collection_tables(tables)
    known = [part for table in library.TABLE_OF_KIND.values() for part in tables[table].parts]
    parts, remarks = library.release_further_vectors(
        of, known, platform.outside, platform.ensembles
    )
    yield from table_results(platform.lake, ACCOUNTS, parts, **remarks)
