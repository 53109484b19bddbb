"""From a catalogue entry to a parsed collection: one parser per format.

Formats with metadata above or beside the table are parsed here: `geo_series`, a GEO series matrix;
`recount3`, gene sums (G026, G029 …) with their metadata tables.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.common import SourceError, breakage_refused, plugins_of
from genept.datasources import cell_archives, expression_archives
from genept.datasources.catalogue import Collection
from genept.datasources.download import Archives
from genept.datasources.formats import GROUP, GeoSeriesOptions, Recount3Options, plugin_reader
from genept.datasources.readers import (
    Head,
    Layout,
    Lines,
    ParsedCollection,
    fields_by_id,
    fields_of,
    parse_gct,
    parse_matrix_market,
    parse_oriented,
    parse_parquet,
    parse_table,
    read_expression,
    stacked,
    table_head,
)
from genept.datasources.readers.hdf5 import parse_archs4, parse_h5ad, parse_tenx_h5

_BEGIN: Final = b"!series_matrix_table_begin"
_END: Final = b"!series_matrix_table_end"
_SAMPLE: Final = b"!Sample_"


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
        if collection.format in PARSERS:
            return PARSERS[collection.format](archives, collection)
        return _parsed_by_plugin(archives, collection)


def _parsed_by_plugin(archives: Archives, collection: Collection) -> ParsedCollection:
    """Read a collection of a format that another distribution adds; its faults are named."""
    reader, plugin = plugin_reader(collection.format), plugins_of(GROUP)[collection.format]
    if reader is None:
        raise plugin.faulty("is gone")
    try:
        parsed = reader.parse(archives, collection)
    except SourceError:
        raise  # it says what is wrong with the file
    except Exception as error:  # of whatever kind: it is not our code
        raise plugin.faulty(f"cannot read it ({type(error).__name__}: {error})") from error
    if not isinstance(parsed, ParsedCollection):
        raise plugin.faulty(f"returns no ParsedCollection but {type(parsed).__name__}")
    return parsed


def parse_geo_series(archives: Archives, collection: Collection) -> ParsedCollection:
    """Read the samples of one series; their ids are GSM accessions.

    A table that is missing, empty (as for sequencing, whose table is a supplementary file) or cut
    short, or whose samples are not those described, is refused.
    """
    options = GeoSeriesOptions.model_validate(collection.options)
    return read_expression(
        archives, collection, options, lambda lines: _series_head(lines, options)
    )


def _series_head(lines: Lines, options: GeoSeriesOptions) -> Head:
    properties: list[tuple[str, list[str]]] = []
    for line in lines:
        if line == _BEGIN:
            break
        if line.startswith(_SAMPLE):
            name, *values = fields_of(line, b"\t", lines.what, lines.number)
            properties.append((name.removeprefix("!Sample_"), values))
        elif line and not line.startswith(b"!"):
            raise SourceError(
                f"{lines.what}: is no GEO series matrix: line {lines.number} is {line[:40]!r}, "
                f"before {_BEGIN.decode()}"
            )
    else:
        raise SourceError(
            f"{lines.what}: has no line {_BEGIN.decode()}: it is no GEO series matrix, "
            "or it was cut short"
        )
    header = fields_of(lines.header("the column names"), b"\t", lines.what, lines.number)
    if lines.peek() == _END:
        raise SourceError(
            f"{lines.what}: its table is empty: for sequencing, GEO keeps the expression in a "
            "supplementary file of the series; use that one"
        )
    layout = Layout(tuple(header), (0,), b"\t", options.decimal)
    return Head(layout, fields=_series_fields(properties, header[1:], lines.what), end=_END)


def _series_fields(
    properties: list[tuple[str, list[str]]], samples: list[str], what: str
) -> pl.DataFrame:
    """Properties by sample, in the order of the table's columns."""
    described = next((values for name, values in properties if name == "geo_accession"), None)
    if described is None or sorted(described) != sorted(samples):
        raise SourceError(
            f"{what}: describes {len(described or [])} samples (!Sample_geo_accession), but its "
            f"table has {len(samples)}: they must be the same"
        )
    fields: dict[str, dict[str, str]] = {}
    for name, values in properties:
        if len(values) != len(described):
            raise SourceError(f"{what}: !Sample_{name} has {len(values)} values, not one a sample")
        for sample, value in zip(described, values, strict=True):
            if not value:
                continue
            field, text = name, value
            if name.startswith("characteristics") and ":" in value:
                key, _, text = value.partition(":")
                field = f"characteristics: {key.strip()}"
            by_sample = fields.setdefault(field, {})
            known = by_sample.get(sample)
            by_sample[sample] = text.strip() if known is None else f"{known}; {text.strip()}"
    return pl.DataFrame(
        {field: [values.get(sample) for sample in samples] for field, values in fields.items()},
        schema=dict.fromkeys(fields, pl.String),
    )


def parse_recount3(archives: Archives, collection: Collection) -> ParsedCollection:
    """Read the samples of one project, or of several; their ids are `external_id`.

    What recount3 publishes per gene is coverage summed over its bases. Its own
    `compute_read_counts` divides that by the average mapped length of the sample and rounds, and so
    does this (recount3's documentation; Collado-Torres et al. 2017,
    doi:10.12688/f1000research.12223.1). For paired ends that length is the fragment's, so fragments
    are counted.

    Raises
    ------
    SourceError
        Coverage is declared as counts, or a sample has no average mapped length.
    """
    options = Recount3Options.model_validate(collection.options)
    if options.n_projects > 1:
        return _several_projects(archives, collection, options)
    if options.scale == "coverage" and collection.unit == "counts":
        raise SourceError(
            "recount3 publishes coverage summed over bases, not counts: set options.scale = "
            "'read_counts', or declare another unit"
        )

    def head(lines: Lines) -> Head:
        while (line := lines.peek()) is not None and line.startswith(b"##"):
            next(lines)
        return table_head(lines, options, None)

    lengths = partial(_lengths, archives, collection, options)
    divisor = lengths if options.scale == "read_counts" else None
    return read_expression(archives, collection, options, head, divisor=divisor)


def _several_projects(
    archives: Archives, collection: Collection, options: Recount3Options
) -> ParsedCollection:
    """Parse each project by itself, and put them below one another."""
    n = len(collection.sources) // options.n_projects
    parts = []
    for first in range(0, len(collection.sources), n):
        of_one = {
            "id": f"{collection.id}/{first // n}",
            "sources": collection.sources[first : first + n],
            "options": collection.options | {"n_projects": 1},
        }
        parts.append(parse_recount3(archives, collection.model_copy(update=of_one)))
    return stacked(parts, collection.sources[::n])


def _lengths(
    archives: Archives, collection: Collection, options: Recount3Options, samples: tuple[str, ...]
) -> NDArray[np.float64]:
    """Average mapped length of each sample, in bases."""
    field = options.average_length
    fields, _, _ = fields_by_id(archives, collection, options.metadata, samples, [field])
    if field not in fields.columns:
        raise SourceError(
            f"recount3: no metadata table has the field {field!r}; name the one of the project's "
            "recount_qc table 'recount_qc', or set options.average_length"
        )
    lengths = fields[field].cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
    without = np.flatnonzero(~(lengths > 0))
    if len(without):
        raise SourceError(
            f"recount3: {len(without)} samples have no {field}, such as {samples[without[0]]!r}: "
            "their coverage cannot be read as counts"
        )
    return np.asarray(lengths)


PARSERS: Final[dict[str, Callable[[Archives, Collection], ParsedCollection]]] = {
    "table": parse_table,
    "gct": parse_gct,
    "geo_series": parse_geo_series,
    "xena": partial(parse_oriented, genes_in="rows"),
    "depmap": partial(parse_oriented, genes_in="columns"),
    "recount3": parse_recount3,
    "tenx_mtx": parse_matrix_market,
    "parquet": parse_parquet,
    "rectangle": cell_archives.parse_rectangle,
    "numbered_cells": cell_archives.parse_numbered_cells,
    "gdsc": expression_archives.parse_gdsc,
    "tcga": expression_archives.parse_tcga,
    "omicsbench": expression_archives.parse_omicsbench,
    "h5ad": parse_h5ad,
    "tenx_h5": parse_tenx_h5,
    "archs4": parse_archs4,
}
