"""Where types and texts stand in an ontology, as vectors: relatives share the terms above them.

They stand beside the vectors of texts where a profile is generated from those of similar types.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genept.embeddings.text_readings.label_meanings import (
    Ontology,
    at_or_above,
    sizes_of_terms,
)
from genept.embeddings.text_readings.similarities import unit_rows_of

Floats = NDArray[np.float64]

LENGTH: Final = 1.5
"""Of a lineage beside a text, whose vector has length 1."""

VAGUE: Final = 0.6
"""Below this length of the mean of its likely terms a text has no lineage: they are unrelated. Of
names of blood cells it is .77 and more; of "neuron" among terms of blood cells .47."""


def lineage_vectors(meant: Sequence[Sequence[str]], ontology: Ontology) -> Floats:
    """Vectors over the terms at or above sets of terms; rare terms weigh more.

    Parameters
    ----------
    meant
        Ids of terms, for each type; those that are not in the ontology are left out.
    ontology
        Terms by id.

    Returns
    -------
    NDArray of float64
        Types × terms, rows of unit length; a row without terms is 0. A term weighs the logarithm
        of how many times more terms its ontology has than there are at or below it.
    """
    below, sizes = sizes_of_terms(ontology), Counter(map(_prefix, ontology))
    above = [at_or_above(terms, ontology) for terms in meant]
    columns = {id_: at for at, id_ in enumerate(sorted(set().union(*above)))}
    vectors = np.zeros((len(meant), len(columns)))
    for row, ids in zip(vectors, above, strict=True):
        for id_ in ids:
            row[columns[id_]] = np.log(max(sizes[_prefix(id_)], below[id_]) / below[id_])
    return unit_rows_of(vectors)


def _prefix(id_: str) -> str:
    return id_.partition(":")[0]


def lineage_of_text(
    likely: Mapping[str, float], types: Sequence[Sequence[str]], ontology: Ontology
) -> tuple[Floats, Floats]:
    """Lineages of types, and that of a text which may mean several terms.

    Parameters
    ----------
    likely
        How likely the text means each term (`likely_terms`).
    types
        Ids of the terms of each type.
    ontology
        Terms by id.

    Returns
    -------
    types, text : NDArray of float64
        Types × terms, and one such vector: the mean of those of the terms; 0 where the text may
        mean many unrelated ones.
    """
    vectors = lineage_vectors([*types, *([term] for term in likely)], ontology)
    weights = np.array(list(likely.values()))
    mean = weights @ vectors[len(types) :]
    return vectors[: len(types)], mean if np.linalg.norm(mean) >= VAGUE else np.zeros_like(mean)


def beside_lineages(texts: Floats, lineages: Floats) -> Floats:
    """Vectors whose products are similarities of texts and of lineages together.

    Parameters
    ----------
    texts
        Vectors of texts, types × dimensions, or one.
    lineages
        Their lineages, types × terms, or one; no columns: texts alone.

    Returns
    -------
    NDArray of float64
        One beside the other, lineages of length `LENGTH`.
    """
    return np.concatenate([texts, LENGTH * lineages], axis=-1)
