"""Parser `recount3`: gene sums (G026, G029 …) with their metadata tables.

What recount3 publishes per gene is coverage summed over its bases. Its own
`compute_read_counts` divides that by the average mapped length of the sample and
rounds, and so does this (recount3's documentation; Collado-Torres et al. 2017,
doi:10.12688/f1000research.12223.1). For paired ends that length is the
fragment's, so fragments are counted.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.common import SourceError
from genept.datasources.catalog import Collection, Recount3Options
from genept.datasources.download import Archives
from genept.datasources.readers import ParsedCollection, fields_by_id
from genept.datasources.readers.text import Head, Lines, read_genes_in_rows, table_head


def parse(archives: Archives, collection: Collection) -> ParsedCollection:
    """Read the samples of one project; their ids are `external_id`.

    Raises
    ------
    SourceError
        Coverage is declared as counts, or a sample has no average mapped length.
    """
    options = Recount3Options.model_validate(collection.options)
    if options.scale == "coverage" and collection.unit == "counts":
        raise SourceError(
            "recount3 publishes coverage summed over bases, not counts: set options.scale = "
            "'read_counts', or declare another unit"
        )

    def lengths(samples: tuple[str, ...]) -> NDArray[np.float64]:
        return _lengths(archives, collection, options, samples)

    return read_genes_in_rows(
        archives,
        collection,
        options,
        lambda lines: _head(lines, options),
        divisor=lengths if options.scale == "read_counts" else None,
    )


def _head(lines: Lines, options: Recount3Options) -> Head:
    while (line := lines.peek()) is not None and line.startswith(b"##"):
        next(lines)
    return table_head(lines, options, None)


def _lengths(
    archives: Archives,
    collection: Collection,
    options: Recount3Options,
    samples: tuple[str, ...],
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
