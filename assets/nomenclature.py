"""Group `nomenclature`: the gene reference. The mapping of each collection is made at ingest."""

from __future__ import annotations

import dagster as dg

from assets.results import declared, table_result
from assets.sources import source_key
from genept.nomenclature.reference import SOURCES, build_genes
from genept.platform import Platform
from genept.store.lake import StoredTable


@dg.asset(**declared("genes"), deps=[source_key(source) for source in SOURCES])
def genes(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult[StoredTable]:
    """Every HGNC gene that has an Ensembl id."""
    return table_result(build_genes(platform.lake, platform.archives))
