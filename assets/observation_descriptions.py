"""Groups of cells and of samples in words: by collection, and as one table."""

from itertools import chain

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.collections import INGESTED
from assets.declarations import EVALUATION_INPUTS, MEMORY, declared, described, inputs
from assets.partitions import COLLECTIONS, record_partitions
from assets.results import (
    Context,
    PartitionResult,
    PartitionTables,
    PlatformResource,
    TableResult,
    partition_result,
    table_result,
)
from genept.embeddings import text_readings as library
from genept.storage import StoredTable

DESCRIPTIONS = dg.AssetKey("collection_descriptions")
_KNOWN = ("gene_embeddings", "gene_properties", "gene_programs", "program_terms")


@dg.asset(
    key=DESCRIPTIONS,
    **described(
        "benchmarks",
        "The labelled groups of one collection in words. Materialise one to describe only that "
        "collection; the table takes the parts over.",
        library.TABLE,
    ),
    partitions_def=COLLECTIONS,
    ins={INGESTED.path[-1]: dg.AssetIn(), **inputs(*_KNOWN)},
    pool=MEMORY,
)
def collection_descriptions(
    context: Context,
    platform: PlatformResource,
    ingested_collection: PartitionTables,
    **tables: StoredTable,
) -> PartitionResult:
    """Describe the groups of one collection."""
    (collection,) = platform.catalogue.chosen([context.partition_key])
    of = platform.collection_tables(dict(chain(ingested_collection.items(), tables.items())))
    return partition_result(platform.lake, library.describe_collection(of, collection))


@dg.asset(**declared(library.TABLE), ins=inputs(*EVALUATION_INPUTS, *_KNOWN), pool=MEMORY)
def observation_descriptions(
    context: Context, platform: PlatformResource, **tables: StoredTable
) -> TableResult:
    """The labelled groups of every collection, in words."""
    lake, of = platform.lake, platform.collection_tables(tables)
    parts = library.describe_collections(of)
    record_partitions(context, lake, DESCRIPTIONS, parts)
    return table_result(lake.assemble(library.TABLE, chain.from_iterable(parts.values())))
