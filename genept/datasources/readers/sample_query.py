"""What is sought in the metadata of public samples: tissue, disease, series, text.

Which fields a publisher has is the business of its own search.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.datasources.readers.attributes import attribute

TISSUE_KEYS: Final = (
    "tissue|tissue type|tissue/cell type|organ|organism part|body site|tissue source"
)
DISEASE_KEYS: Final = (
    "disease|disease state|disease status|diagnosis|disease type|cancer type|tumor type|"
    "condition|health state|histology"
)
FOUND_SCHEMA: Final = {
    **dict.fromkeys(("sample", "series", "title", "source", "tissue", "disease"), pl.String),
    "single_cell": pl.Float64,
}
"""Columns of what is found: `tissue` and `disease` are None where a sample names none."""


@dataclass(frozen=True)
class SampleQuery:
    """Which samples are sought: each part that is given must match.

    Parameters
    ----------
    series
        Accessions; one of them.
    tissue, disease
        Texts, in any case; one of them in the sample's tissue (or, where it names none, in its
        source), and in its disease.
    text
        Texts, in any case; all of them in title, source or attributes.
    """

    series: tuple[str, ...] = ()
    tissue: tuple[str, ...] = ()
    disease: tuple[str, ...] = ()
    text: tuple[str, ...] = ()


def texts_match(
    titles: pl.Series, sources: pl.Series, attributes: pl.Series, query: SampleQuery
) -> NDArray[np.bool_]:
    """Which samples match tissue, disease and text of a query.

    Parameters
    ----------
    titles, sources, attributes
        Texts of each sample, none of them null.
    query
        What is sought; its series are passed over.

    Returns
    -------
    NDArray[np.bool_]
        One for each sample.
    """
    lower = (titles + "\t" + sources + "\t" + attributes).str.to_lowercase()
    mask = np.ones(titles.len(), dtype=bool)
    for text in query.text:
        mask &= lower.str.contains(text.lower(), literal=True).to_numpy()
    for texts, keys, or_source in (
        (query.tissue, TISSUE_KEYS, True),
        (query.disease, DISEASE_KEYS, False),
    ):
        if not texts:
            continue
        wanted = [text.lower() for text in texts]
        candidates = mask & lower.str.contains_any(wanted).to_numpy()
        mask[:] = False
        for row in np.flatnonzero(candidates).tolist():  # few: the rest need not be taken apart
            value = attribute(attributes[row], keys) or (sources[row] if or_source else "")
            mask[row] = any(text in value.lower() for text in wanted)
    return mask
