"""Samples of ARCHS4 by tissue, disease, series and text; only fields of metadata are read.

What is chosen of them, and how it becomes a collection, is the caller's business.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from genept.datasources.download import Ranged
from genept.datasources.readers.attributes import attribute
from genept.datasources.readers.hdf5.archs4_samples import (
    ATTRIBUTES,
    SAMPLE_ID,
    SERIES,
    SampleFields,
    series_of,
)
from genept.datasources.readers.hdf5.file import open_hdf5, refuse_foreign
from genept.datasources.readers.hdf5.ranged import RangedStream
from genept.datasources.readers.sample_query import (
    DISEASE_KEYS,
    FOUND_SCHEMA,
    TISSUE_KEYS,
    SampleQuery,
    texts_match,
)

_TITLE: Final = "title"
_SOURCE: Final = "source_name_ch1"
_SINGLE_CELL: Final = "singlecellprobability"


def search_archs4(path: Path | Ranged, query: SampleQuery) -> pl.DataFrame:
    """Find samples.

    Parameters
    ----------
    path
        A local file of ARCHS4, or one that is read by ranges.
    query
        What is sought.

    Returns
    -------
    pl.DataFrame
        Columns of `FOUND_SCHEMA`, in the order of the file.

    Raises
    ------
    SourceError
        The file leads out of itself, is damaged, or is not of ARCHS4.
    """
    opened = path if isinstance(path, Path) else RangedStream(path)
    stream = opened if isinstance(opened, RangedStream) else None
    with open_hdf5(opened) as file:
        refuse_foreign(file)
        samples = SampleFields(file, stream)
        found = np.fromiter(_matching(samples, query), np.int64)
        if not found.size:
            return pl.DataFrame(schema=FOUND_SCHEMA)
        attributes = samples.texts(ATTRIBUTES, found)
        single = np.zeros(found.size)
        if _SINGLE_CELL in samples.all_names:
            single = samples.values(_SINGLE_CELL, found).astype(np.float64)
        return pl.DataFrame(
            {
                "sample": samples.texts(SAMPLE_ID, found),
                "series": samples.texts(SERIES, found),
                "title": samples.texts(_TITLE, found),
                "source": samples.texts(_SOURCE, found),
                "tissue": [attribute(text, TISSUE_KEYS) for text in attributes],
                "disease": [attribute(text, DISEASE_KEYS) for text in attributes],
                "single_cell": single,
            },
            schema=FOUND_SCHEMA,
        )


def _matching(samples: SampleFields, query: SampleQuery) -> Iterator[int]:
    """Positions of the samples that match, field by field and window by window."""
    mask = np.ones(samples.n, dtype=bool)
    if query.series:
        wanted = set(query.series)
        for first, values in samples.windows(SERIES):
            mask[first : first + values.len()] = [
                not wanted.isdisjoint(series_of(value)) for value in values
            ]
    if (query.tissue or query.disease or query.text) and mask.any():
        fields = (_TITLE, _SOURCE, ATTRIBUTES)
        for windows in zip(*map(samples.windows, fields), strict=True):
            first, n = windows[0][0], windows[0][1].len()
            if mask[first : first + n].any():
                titles, sources, attributes = (values for _, values in windows)
                matching = texts_match(titles, sources, attributes, query)
                mask[first : first + n] &= matching
    yield from np.flatnonzero(mask).tolist()
