"""Group `nomenclature`: the gene reference and its names. Collections are mapped at ingest."""

from __future__ import annotations

import dagster as dg

from assets.results import declared, table_result
from assets.sources import source_key
from genept.nomenclature.reference import SOURCES, build_genes, build_names
from genept.platform import Platform
from genept.store.lake import StoredTable


@dg.asset(**declared("genes"), deps=[source_key(source) for source in SOURCES])
def genes(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult[StoredTable]:
    """Every HGNC gene that has an Ensembl id."""
    return table_result(build_genes(platform.lake, platform.archives))


@dg.asset(**declared("gene_names"), deps=[source_key(source) for source in SOURCES])
def gene_names(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult[StoredTable]:
    """Every name that the reference knows, and what it means."""
    return table_result(build_names(platform.lake, platform.archives))
