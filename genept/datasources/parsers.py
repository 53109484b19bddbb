"""From a catalogue entry to a parsed collection: one parser per format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from genept.common import SourceError, breakage_refused
from genept.datasources import archs4, gdsc, geo, packaged, recount3
from genept.datasources.catalog import Collection
from genept.datasources.download import Archives
from genept.datasources.readers import ParsedCollection, parse_matrix_market, parse_parquet
from genept.datasources.readers.hdf5 import parse_h5ad, parse_tenx_h5
from genept.datasources.readers.text import parse_depmap, parse_gct, parse_table, parse_xena

PARSERS: Final[dict[str, Callable[[Archives, Collection], ParsedCollection]]] = {
    "table": parse_table,
    "gct": parse_gct,
    "geo_series": geo.parse,
    "xena": parse_xena,
    "depmap": parse_depmap,
    "recount3": recount3.parse,
    "tenx_mtx": parse_matrix_market,
    "parquet": parse_parquet,
    "rectangle": packaged.parse_rectangle,
    "gdsc": gdsc.parse,
    "tcga": packaged.parse_tcga,
    "omicsbench": packaged.parse_omicsbench,
    "h5ad": parse_h5ad,
    "tenx_h5": parse_tenx_h5,
    "archs4": archs4.parse,
}


def parse_collection(archives: Archives, collection: Collection) -> ParsedCollection:
    """Fetch and parse one collection; its values are checked when they are read.

    Parameters
    ----------
    archives
        Downloads sources that are not cached.
    collection
        Entry of the catalogue: sources, format and its options.

    Returns
    -------
    ParsedCollection
        Genes as published, observations, expression and drug responses.

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
    """Fetch and parse a file that is no collection yet: messages name the file alone.

    Parameters
    ----------
    archives
        Downloads sources that are not cached.
    collection
        What would be the file's entry of the catalogue.

    Returns
    -------
    ParsedCollection
        Genes as published, observations, expression and drug responses.

    Raises
    ------
    SourceError
        A file cannot be had, or does not hold what the options say.
    """
    with breakage_refused(archives.catalogue.source(collection.sources[0]).title):
        return PARSERS[collection.format](archives, collection)
