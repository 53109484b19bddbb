"""From a catalogue entry to a parsed collection: one parser per format.

Parsers of few lines are here: `geo_series`, a GEO series matrix; `omicsbench`, OpenOmicsBench's
bulk RNA studies, Expression Atlas counts with a sample sheet; `rectangle`, the Rectangle package's
single cells, a zipped CSV of counts and one of labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from typing import BinaryIO, Final

import polars as pl
from pydantic import BaseModel, TypeAdapter, ValidationError

from genept.common import SourceError, breakage_refused
from genept.datasources import cancer, compendia
from genept.datasources.catalog import (
    Collection,
    GeoSeriesOptions,
    OmicsbenchOptions,
    RectangleOptions,
)
from genept.datasources.download import Archives
from genept.datasources.readers import (
    Head,
    Layout,
    Lines,
    ParsedCollection,
    fields_of,
    from_matrix,
    observation_frame,
    parse_depmap,
    parse_gct,
    parse_matrix_market,
    parse_parquet,
    parse_table,
    parse_xena,
    read_expression,
    read_matrix,
    read_table,
    refuse_repeats,
)
from genept.datasources.readers.hdf5 import parse_h5ad, parse_tenx_h5

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
        return PARSERS[collection.format](archives, collection)


def parse_geo_series(archives: Archives, collection: Collection) -> ParsedCollection:
    """Read the samples of one series; their ids are GSM accessions.

    Raises
    ------
    SourceError
        The table is absent, empty (as for sequencing, whose table is a
        supplementary file) or cut short, or its samples are not those described.
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


class _Sample(BaseModel):
    sample_id: str
    condition: str
    batch: str


def parse_omicsbench(archives: Archives, collection: Collection) -> ParsedCollection:
    """Read the samples; the group is the individual, the diagnosis the named condition.

    Raises
    ------
    SourceError
        Sheet and counts name different samples, a condition is unknown, or a file is not regular.
    """
    options = OmicsbenchOptions.model_validate(collection.options)
    (source_id,) = collection.sources
    counts_name = f"{options.study}/expected/source-counts.tsv"
    with archives.open_member(source_id, counts_name) as stream:
        counts = read_matrix(stream, separator="\t", what=counts_name)
    sheet_name = f"{options.study}/samples.json"
    with archives.open_member(source_id, sheet_name) as stream:
        sheet = _read_sheet(stream, sheet_name)
    _refuse_difference(sheet, counts.columns, sheet_name, "samples")
    samples = [sheet[name] for name in counts.columns]
    for sample in samples:
        if sample.condition not in options.diagnoses:
            raise SourceError(
                f"{sheet_name}: sample {sample.sample_id!r} has the condition "
                f"{sample.condition!r}; the catalogue knows {sorted(options.diagnoses)}"
            )
    return from_matrix(
        counts.values.T,
        input_genes=counts.rows,
        observations=observation_frame(
            counts.columns,
            [sample.batch for sample in samples],
            {
                "tissue": options.tissue,
                "diagnosis": [options.diagnoses[sample.condition] for sample in samples],
            },
        ),
    )


def _read_sheet(stream: BinaryIO, what: str) -> dict[str, _Sample]:
    try:
        samples = TypeAdapter(list[_Sample]).validate_json(stream.read())
    except ValidationError as error:
        problem = error.errors()[0]
        raise SourceError(f"{what}: at {problem['loc']}: {problem['msg']}") from error
    refuse_repeats([sample.sample_id for sample in samples], f"{what}: samples")
    return {sample.sample_id: sample for sample in samples}


def parse_rectangle(archives: Archives, collection: Collection) -> ParsedCollection:
    """Read the cells; types keep the publisher's names, the group is the lane.

    Raises
    ------
    SourceError
        A cell has no label or no lane, a label no cell, or a file is not regular.
    """
    options = RectangleOptions.model_validate(collection.options)
    (source_id,) = collection.sources
    inner = PurePath(options.counts).stem
    with archives.open_zip_member(source_id, options.counts, inner) as stream:
        counts = read_matrix(stream, separator=",", what=options.counts)
    inner = PurePath(options.annotations).stem
    with archives.open_zip_member(source_id, options.annotations, inner) as stream:
        labels = read_table(stream, columns=("", "0"), what=options.annotations)
    cells, types = labels[""].to_list(), labels["0"].to_list()
    refuse_repeats(cells, f"{options.annotations}: cells")
    by_cell = dict(zip(cells, types, strict=True))
    _refuse_difference(by_cell, counts.columns, options.annotations, "cells")
    lanes = [cell.partition("_") for cell in counts.columns]
    if without := [lane for lane, separator, _ in lanes if not separator]:
        raise SourceError(f"{options.counts}: cell {without[0]!r} does not begin with a lane and _")
    return from_matrix(
        counts.values.T,
        input_genes=counts.rows,
        observations=observation_frame(
            counts.columns,
            [lane for lane, _, _ in lanes],
            {"cell_type": [by_cell[cell] for cell in counts.columns], "tissue": options.tissue},
        ),
    )


def _refuse_difference(
    described: Mapping[str, object], counted: Iterable[str], what: str, kind: str
) -> None:
    if odd := sorted(described.keys() ^ {*counted}):
        raise SourceError(
            f"{what}: {len(odd)} {kind} are only in it or only in the counts, such as {odd[0]!r}; "
            f"expected the same {kind} in both"
        )


PARSERS: Final[dict[str, Callable[[Archives, Collection], ParsedCollection]]] = {
    "table": parse_table,
    "gct": parse_gct,
    "geo_series": parse_geo_series,
    "xena": parse_xena,
    "depmap": parse_depmap,
    "recount3": compendia.parse_recount3,
    "tenx_mtx": parse_matrix_market,
    "parquet": parse_parquet,
    "rectangle": parse_rectangle,
    "gdsc": cancer.parse_gdsc,
    "tcga": cancer.parse_tcga,
    "omicsbench": parse_omicsbench,
    "h5ad": parse_h5ad,
    "tenx_h5": parse_tenx_h5,
    "archs4": compendia.parse_archs4,
}
