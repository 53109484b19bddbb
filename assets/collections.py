"""Group `collections`: every collection, its genes mapped, as clean parquet."""

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.declarations import MEMORY, declared, declared_outs, described
from assets.partitions import COLLECTIONS, record_partitions
from assets.results import (
    Context,
    PartitionResult,
    PlatformResource,
    TableResult,
    TableResults,
    partition_result,
    table_result,
)
from assets.sources import source_key
from genept.collections import TABLES_OF_A_COLLECTION, ingest_each
from genept.collections.labels import build_ontology_terms
from genept.common import console
from genept.datasources import ONTOLOGIES_SOURCE, load_catalogue
from genept.nomenclature import mapping_pages
from genept.storage import StoredTable

INGESTED = dg.AssetKey("ingested_collection")

_SOURCES = {
    source
    for entry in load_catalogue().collections.values()
    for source in entry.sources
    if ":" not in source  # one file of a pattern, which is no asset
}
_SOURCES.add(ONTOLOGIES_SOURCE)
_DEPS = [dg.AssetKey("genes"), *(source_key(source) for source in sorted(_SOURCES))]


@dg.asset(
    key=INGESTED,
    **described(
        "collections",
        "One collection: its files parsed, its genes mapped, its parts of all tables stored. "
        "Materialise one to ingest only that collection; the tables take the parts over.",
        "collections",
    ),
    partitions_def=COLLECTIONS,
    pool=MEMORY,
    deps=[*_DEPS, dg.AssetKey("inbox_collection")],
)
def ingested_collection(context: Context, platform: PlatformResource) -> PartitionResult:
    """Ingest one collection."""
    (collection,) = platform.catalogue.chosen([context.partition_key])
    return partition_result(platform.lake, platform.ingest(collection))


@dg.multi_asset(outs=declared_outs(TABLES_OF_A_COLLECTION), deps=[*_DEPS, INGESTED], pool=MEMORY)
def ingested_collections(context: Context, platform: PlatformResource) -> TableResults:
    """Parse, map and store every chosen collection; an added one that is refused is left out."""
    ingested, left_out = ingest_each(platform.collections, platform.ingest, platform.is_added)
    for id_, reason in left_out.items():
        context.log.warning(f"collection {id_} is left out: {reason}")
        console.print(f"collection {id_} is left out: {reason}", markup=False)
    record_partitions(context, platform.lake, INGESTED, ingested)
    parts = [part for parts in ingested.values() for part in parts]
    remarks = {f"left out: {id_}": reason for id_, reason in left_out.items()}
    for name in TABLES_OF_A_COLLECTION:
        stored = platform.lake.assemble(name, parts)
        report = mapping_pages(platform.lake, stored) if name == "gene_mapping" else {}
        pages = {key: dg.MetadataValue.md(page) for key, page in report.items()}
        yield table_result(stored, **pages, **remarks)


@dg.asset(**declared("ontology_terms"))
def ontology_terms(platform: PlatformResource, label_mapping: StoredTable) -> TableResult:
    """The terms that labels mean, and all terms above these."""
    terms = build_ontology_terms(platform.lake, label_mapping, platform.label_ontologies)
    platform.release_memory()  # nothing below maps labels
    return table_result(terms)
