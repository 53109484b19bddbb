"""From a catalogue entry to a parsed collection: one parser per format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from genept.sources import (
    archs4,
    gct,
    gdsc,
    geo_series,
    h5ad,
    omicsbench,
    parquet_tables,
    recount3,
    rectangle,
    tables,
    tcga,
    tenx_h5,
    tenx_mtx,
)
from genept.sources.archives import Archives
from genept.sources.catalogue import Collection
from genept.sources.errors import SourceError, breakage_refused
from genept.sources.parsed import ParsedCollection

PARSERS: Final[dict[str, Callable[[Archives, Collection], ParsedCollection]]] = {
    "table": tables.parse,
    "gct": gct.parse,
    "geo_series": geo_series.parse,
    "xena": tables.parse_xena,
    "depmap": tables.parse_depmap,
    "recount3": recount3.parse,
    "tenx_mtx": tenx_mtx.parse,
    "parquet": parquet_tables.parse,
    "rectangle": rectangle.parse,
    "gdsc": gdsc.parse,
    "tcga": tcga.parse,
    "omicsbench": omicsbench.parse,
    "h5ad": h5ad.parse,
    "tenx_h5": tenx_h5.parse,
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
