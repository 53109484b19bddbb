"""What a text means of labelled types, by the ontology terms whose names it resembles.

"Helper T cell" is the name of a term below CD4-positive T cells, whatever a model of texts makes of
these two. What a text means by the types' own texts is in `text_maps`; both count the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genept.embeddings.text_readings.label_meanings import LabelQuery, Ontology, sizes_of_terms
from genept.embeddings.text_readings.similarities import softmax

Floats = NDArray[np.float64]

SHARPNESS: Final = 0.05
"""Similarities with names are divided by this before the softmax over terms."""

MOST_TERMS: Final = 1_000
"""Terms whose names are compared; of more, those with the fewest steps to a type."""


@dataclass(frozen=True)
class TypeTerms:
    """Terms that share terms below them with labelled types, and their names.

    Parameters
    ----------
    terms
        Ids; of a type without a term its label.
    names
        Names and synonyms of the terms.
    term_of
        Number of the term of each name.
    shares
        Terms × types: how much of a term is each type; rows sum to 1.
    """

    terms: tuple[str, ...]
    names: tuple[str, ...]
    term_of: NDArray[np.intp]
    shares: Floats


def type_terms(types: Sequence[LabelQuery], ontology: Ontology) -> TypeTerms:
    """Find the terms that overlap with types: at or below them, or above terms that are.

    A term at or below types is all of the most specific of them. A term above is as much of a type
    as it has terms in common with it. A type without a term has its words as the name of one.

    Parameters
    ----------
    types
        What the labels mean.
    ontology
        Terms by id.

    Returns
    -------
    TypeTerms
        Of at most `MOST_TERMS` terms, besides the labels without one.
    """
    own: dict[str, list[int]] = {}
    for at, query in enumerate(types):
        for term in query.terms:
            own.setdefault(term, []).append(at)
    below: list[set[str]] = [set() for _ in types]
    sizes = sizes_of_terms(ontology)
    for id_, known_as in ontology.items():
        for ancestor in (id_, *known_as.ancestors):
            for at in own.get(ancestor, ()):
                below[at].add(id_)
    common: dict[str, Counter[int]] = {}
    for at, of_type in enumerate(below):
        for id_ in of_type:
            for ancestor in (id_, *ontology[id_].ancestors):
                common.setdefault(ancestor, Counter())[at] += 1
    known = [id_ for id_ in common if id_ in ontology]
    nearest = sorted(known, key=lambda id_: (_steps(id_, own, ontology), id_))[:MOST_TERMS]
    rows = [_row(id_, below, common[id_], sizes[id_]) for id_ in nearest]
    names = [[ontology[id_].name, *ontology[id_].synonyms] for id_ in nearest]
    for at, query in enumerate(types):
        if not below[at]:
            nearest.append(query.label)
            rows.append(np.eye(len(types))[at])
            names.append([query.words])
    distinct = [list(dict.fromkeys(each)) for each in names]
    return TypeTerms(
        tuple(nearest),
        tuple(name for each in distinct for name in each),
        np.repeat(np.arange(len(distinct)), [len(each) for each in distinct]),
        np.array(rows).reshape(len(rows), len(types)),
    )


def _steps(id_: str, own: dict[str, list[int]], ontology: Ontology) -> int:
    """Fewest steps between a term and one of a type, up or down."""
    if id_ in own:
        return 0
    up = [steps for above, steps in ontology[id_].ancestors.items() if above in own]
    above_own = (ontology[term].ancestors for term in own if term in ontology)
    down = [ancestors[id_] for ancestors in above_own if id_ in ancestors]
    return min([*up, *down], default=MOST_TERMS)


def _row(id_: str, below: list[set[str]], common: Counter[int], size: int) -> Floats:
    inside = [at for at, of_type in enumerate(below) if id_ in of_type]
    row = np.zeros(len(below))
    if inside:
        fewest = min(len(below[at]) for at in inside)
        row[[at for at in inside if len(below[at]) == fewest]] = 1
    else:
        for at, n in common.items():
            row[at] = n / size
    return np.asarray(row / row.sum())


def shares_through_terms(
    collections: Sequence[TypeTerms], names: Sequence[Floats], text: Floats
) -> list[Floats]:
    """How much a text means each type of several collections, through the names of terms.

    Parameters
    ----------
    collections
        Terms of the types of each; those of all are rivals of each other.
    names
        Unit vectors of their names, (n_names, dimensions) each.
    text
        Unit vector of the text, (dimensions,).

    Returns
    -------
    list of NDArray of float64
        For each collection one number for each type.
    """
    share = likely_terms(collections, names, text)
    return [np.array([share[term] for term in of.terms]) @ of.shares for of in collections]


def likely_terms(
    collections: Sequence[TypeTerms], names: Sequence[Floats], text: Floats
) -> dict[str, float]:
    """How likely a text means each term, by the nearest of the term's names.

    Parameters
    ----------
    collections, names, text
        As of `shares_through_terms`.

    Returns
    -------
    dict of float
        By term; they sum to 1.
    """
    closest: dict[str, float] = {}
    for of, vectors in zip(collections, names, strict=True):
        best = np.full(len(of.terms), -np.inf)
        np.maximum.at(best, of.term_of, vectors @ text)
        closest |= dict(zip(of.terms, best.tolist(), strict=True))
    likely = softmax(np.array(list(closest.values()))[None] / SHARPNESS)[0]
    return dict(zip(closest, likely.tolist(), strict=True))
