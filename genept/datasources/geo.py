"""Parser `geo_series`: a GEO series matrix, with what is known of its samples above the table.

One line per property, one field per sample. A characteristic is ``key: value``,
and the same line may hold different keys for different samples.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from genept.common import SourceError
from genept.datasources.catalog import Collection, GeoSeriesOptions
from genept.datasources.download import Archives
from genept.datasources.readers import ParsedCollection
from genept.datasources.readers.text import Head, Layout, Lines, fields_of, read_genes_in_rows

_BEGIN: Final = b"!series_matrix_table_begin"
_END: Final = b"!series_matrix_table_end"
_SAMPLE: Final = b"!Sample_"


def parse(archives: Archives, collection: Collection) -> ParsedCollection:
    """Read the samples of one series; their ids are GSM accessions.

    Raises
    ------
    SourceError
        The table is absent, empty (as for sequencing, whose table is a
        supplementary file) or cut short, or its samples are not those described.
    """
    options = GeoSeriesOptions.model_validate(collection.options)
    return read_genes_in_rows(archives, collection, options, lambda lines: _head(lines, options))


def _head(lines: Lines, options: GeoSeriesOptions) -> Head:
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
    return Head(layout, fields=_fields(properties, header[1:], lines.what), end=_END)


def _fields(properties: list[tuple[str, list[str]]], samples: list[str], what: str) -> pl.DataFrame:
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
