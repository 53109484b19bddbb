"""Parsers of single cells in archives of the package index, small enough to be read whole.

`rectangle`: the Rectangle package's cells, a zipped CSV of counts and one of labels.
`numbered_cells`: cells without names, a CSV of counts and one with as many labels.
"""

from pathlib import PurePath

import polars as pl

from genept.common import SourceError
from genept.datasources import catalogue, formats
from genept.datasources.download import Archives
from genept.datasources.readers import (
    ParsedCollection,
    from_matrix,
    observation_frame,
    read_matrix,
    read_table,
    refuse_difference,
    refuse_repeats,
)


def parse_rectangle(archives: Archives, collection: catalogue.Collection) -> ParsedCollection:
    """Read the cells; types keep the publisher's names, the group is the lane.

    Refused are cells without a label or a lane, and labels without a cell.
    """
    options = formats.RectangleOptions.model_validate(collection.options)
    (source_id,) = collection.sources
    inner = PurePath(options.counts).stem
    with archives.open_nested(source_id, options.counts, inner) as stream:
        counts = read_matrix(stream, separator=",", what=options.counts)
    inner = PurePath(options.annotations).stem
    with archives.open_nested(source_id, options.annotations, inner) as stream:
        labels = read_table(stream, columns=("", "0"), what=options.annotations)
    cells, types = labels[""].to_list(), labels["0"].to_list()
    refuse_repeats(cells, f"{options.annotations}: cells")
    by_cell = dict(zip(cells, types, strict=True))
    refuse_difference(by_cell, counts.columns, options.annotations, "cells")
    if without := [cell for cell in counts.columns if "_" not in cell]:
        raise SourceError(f"{options.counts}: cell {without[0]!r} does not begin with a lane and _")
    return from_matrix(
        counts.values.T,
        input_genes=counts.rows,
        observations=observation_frame(
            counts.columns,
            [cell.partition("_")[0] for cell in counts.columns],
            {"cell_type": [by_cell[cell] for cell in counts.columns], "tissue": options.tissue},
        ),
    )


def parse_numbered_cells(archives: Archives, collection: catalogue.Collection) -> ParsedCollection:
    """Read the cells, named by their place in the file; labels keep the publisher's names.

    Refused are values that are no number, and labels that are more or fewer than the cells.
    """
    options = formats.NumberedCellsOptions.model_validate(collection.options)
    (source_id,) = collection.sources
    with archives.open_member(source_id, options.counts) as stream:
        table = read_table(stream, what=options.counts)
    with archives.open_member(source_id, options.labels) as stream:
        labels = read_table(stream, columns=(options.column,), what=options.labels, whole=True)
    if labels.height != table.height:
        raise SourceError(
            f"{options.labels}: {labels.height} labels for {table.height} cells of {options.counts}"
        )
    counts = table.cast(pl.Float32, strict=False)
    for gene, n in counts.null_count().row(0, named=True).items():
        if n:
            raise SourceError(f"{options.counts}: {n} values of gene {gene!r} are no numbers")
    cells = [f"cell-{number:05d}" for number in range(1, table.height + 1)]
    return from_matrix(
        counts.to_numpy(),
        input_genes=counts.columns,
        observations=observation_frame(
            cells, cells, {"cell_type": labels[options.column].to_list()}
        ),
        metadata=labels.with_columns(observation_id=pl.Series(cells, dtype=pl.String)),
    )
