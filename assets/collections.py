"""Group `collections`: every public collection, its genes mapped, as clean parquet."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from assets.results import declared_outs, table_result
from assets.sources import source_key
from genept.collections.ingest import TABLES_OF_A_COLLECTION, ingest
from genept.nomenclature.report import mapping_pages
from genept.platform import Platform
from genept.sources.catalogue import load_catalogue
from genept.store.lake import StoredTable

_CATALOGUE = load_catalogue()
_SOURCES = sorted(
    {
        one
        for entry in _CATALOGUE.collections.values()
        for one in entry.sources
        if ":" not in one  # one file of a pattern, which is no asset
    }
)
_DEPS = [dg.AssetKey("genes"), *(source_key(source) for source in _SOURCES)]


@dg.multi_asset(outs=declared_outs(TABLES_OF_A_COLLECTION), deps=_DEPS)
def ingested_collections(
    platform: dg.ResourceParam[Platform],
) -> Iterator[dg.MaterializeResult[StoredTable]]:
    """Parse, map and store every chosen collection."""
    parts = [
        part
        for collection in platform.collections
        for part in ingest(
            platform.lake,
            platform.collection_archives,
            collection,
            lambda: platform.reference,
            platform.reference_version,
            platform.settings.threads,
        )
    ]
    for name in TABLES_OF_A_COLLECTION:
        stored = platform.lake.assemble(name, parts)
        report = mapping_pages(platform.lake, stored) if name == "gene_mapping" else {}
        yield table_result(
            stored, **{key: dg.MetadataValue.md(page) for key, page in report.items()}
        )
