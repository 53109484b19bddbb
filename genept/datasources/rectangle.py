"""Parser `rectangle`: single cells as a genes × cells CSV in a zip, labels in another.

The layout of the Rectangle package's example data. The cell id begins with its
sequencing lane (``E2L4_GATG…``), the only grouping that is published. The CSV in
each zip bears the zip's name without a suffix.
"""

from __future__ import annotations

from pathlib import PurePath

from genept.common.errors import SourceError
from genept.datasources.catalog.entries import Collection
from genept.datasources.catalog.format_options import RectangleOptions
from genept.datasources.download.archives import Archives
from genept.datasources.readers.parsed import (
    ParsedCollection,
    from_matrix,
    observation_frame,
    refuse_repeats,
)
from genept.datasources.readers.text.delimited import read_matrix, read_table


def parse(archives: Archives, collection: Collection) -> ParsedCollection:
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
    if by_cell.keys() != set(counts.columns):
        odd = sorted(by_cell.keys() ^ set(counts.columns))
        raise SourceError(
            f"{options.annotations}: {len(odd)} cells are only in the labels or only in the "
            f"counts, such as {odd[0]!r}; expected the same cells in both"
        )
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
