"""From a catalogue entry to a parsed collection: one parser per format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from genept.common.errors import SourceError, breakage_refused
from genept.datasources import archs4, gdsc, geo, packaged, recount3
from genept.datasources.catalog.entries import Collection
from genept.datasources.download.archives import Archives
from genept.datasources.readers import matrix_market, parquet_matrix
from genept.datasources.readers.hdf5 import h5ad, tenx
from genept.datasources.readers.parsed import ParsedCollection
from genept.datasources.readers.text import expression_tables

PARSERS: Final[dict[str, Callable[[Archives, Collection], ParsedCollection]]] = {
    "table": expression_tables.parse,
    "gct": expression_tables.parse_gct,
    "geo_series": geo.parse,
    "xena": expression_tables.parse_xena,
    "depmap": expression_tables.parse_depmap,
    "recount3": recount3.parse,
    "tenx_mtx": matrix_market.parse,
    "parquet": parquet_matrix.parse,
    "rectangle": packaged.parse_rectangle,
    "gdsc": gdsc.parse,
    "tcga": packaged.parse_tcga,
    "omicsbench": packaged.parse_omicsbench,
    "h5ad": h5ad.parse,
    "tenx_h5": tenx.parse,
    "archs4": archs4.parse,
}


def parse_collection(archives: Archives, collection: Collection) -> ParsedCollection:
    """Fetch and parse one collection; its values are checked when they are read.

    Raises
    ------
    SourceError
        An archive cannot be had, or does not hold what the catalogue says; names the collection.
    """
    try:
        return parse_sources(archives, collection)
    except SourceError as error:
        raise SourceError(f"collection {collection.id}: {error}") from error


def parse_sources(archives: Archives, collection: Collection) -> ParsedCollection:
    """Do the same for a file that is no collection yet: messages name the file alone."""
    with breakage_refused(archives.catalogue.source(collection.sources[0]).title):
        return PARSERS[collection.format](archives, collection)
