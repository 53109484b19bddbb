"""Texts that stand for a label: its words, synonyms and definitions of its ontology terms.

How texts are compared with genes is `genept.embeddings.text_readings.readings`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genept.collections.labels import LabelMapper, declared_labels, prefix_of
from genept.datasources import OntologyTerm

Ontology = Mapping[str, OntologyTerm]
"""Terms by id, of one or of several ontologies."""

ANY_FIELD: Final = ("cell_type", "tissue", "diagnosis")

MOST_TEXTS: Final = 12
"""Texts of a label at most: some diseases have a hundred synonyms."""


@dataclass(frozen=True)
class LabelQuery:
    """A label and what it means.

    Parameters
    ----------
    label
        As it is published.
    words
        What it is called in plain words.
    terms
        Ids of ontology terms that it means.
    """

    label: str
    words: str
    terms: tuple[str, ...] = ()

    def texts(self, ontology: Ontology) -> list[str]:
        """Its phrasings, each once: words, definitions, synonyms; words alone without terms."""
        known = [ontology[term] for term in self.terms if term in ontology]
        defined = [f"{term.name}: {term.definition}" for term in known if term.definition]
        names = [term.name for term in known]
        synonyms = [synonym for term in known for synonym in term.synonyms]
        return list(dict.fromkeys([self.words, *defined, *names, *synonyms]))[:MOST_TEXTS]


def words_of(label: str) -> str:
    """Write a published label as words.

    Parameters
    ----------
    label
        Such as ``T_cells_CD4+``.

    Returns
    -------
    str
        Such as ``T cells CD4+``.
    """
    return " ".join(label.replace("_", " ").split())


def label_queries(
    collection: str,
    labels: Iterable[str],
    ontology: Ontology | None = None,
    *,
    of_field: str | None = "cell_type",
) -> list[LabelQuery]:
    """What the labels of a collection mean.

    Parameters
    ----------
    collection
        Id of the collection.
    labels
        Published labels, or ids of terms.
    ontology
        A label that is not declared means the term that `LabelMapper` finds for it in these.
    of_field
        What is labelled, a key of `genept.collections.labels.FIELDS`; None: any of `ANY_FIELD`.

    Returns
    -------
    list of LabelQuery
        One for each label, in their order. The words of an abbreviation are the name of its term.
    """
    declared = declared_labels().get(collection, {})
    terms = ontology or {}
    mapper = _mapper_of(terms)
    queries = []
    for label in labels:
        if label in declared and declared[label].words:
            queries.append(LabelQuery(label, declared[label].words, declared[label].terms))
            continue
        if label in terms:
            queries.append(LabelQuery(label, terms[label].name, (label,)))
            continue
        words = words_of(label)
        for each in (of_field,) if of_field else ANY_FIELD:
            (mapped,) = mapper.map_labels(collection, each, [label])
            if ids := tuple(id_ for id_ in mapped.ids if id_ in terms):
                words = terms[ids[0]].name if mapped.outcome == "abbreviation" else words
                queries.append(LabelQuery(label, words, ids))
                break
        else:
            queries.append(LabelQuery(label, words))
    return queries


_MAPPERS: Final[list[tuple[Ontology, LabelMapper]]] = []
"""The mapper of the ontology that was asked last: it indexes all names of its terms."""


def _mapper_of(terms: Ontology) -> LabelMapper:
    if not _MAPPERS or _MAPPERS[0][0] is not terms:
        by_prefix: dict[str, dict[str, OntologyTerm]] = {}
        for id_, term in terms.items():
            by_prefix.setdefault(prefix_of(id_), {})[id_] = term
        _MAPPERS[:] = [(terms, LabelMapper(by_prefix))]
    return _MAPPERS[0][1]


def ontology_similarity(first: LabelQuery, second: LabelQuery, ontology: Ontology) -> float:
    """How much two labels have in common in the ontology: a parent is nearer than a stranger.

    Parameters
    ----------
    first, second
        The labels.
    ontology
        Terms by id.

    Returns
    -------
    float
        Terms at or above both over terms at or above either; 1 for the same label, 0 without terms.
    """
    if first.label == second.label:
        return 1.0
    above = [at_or_above(query.terms, ontology) for query in (first, second)]
    either = above[0] | above[1]
    return len(above[0] & above[1]) / len(either) if either else 0.0


def similarity_matrix(queries: Sequence[LabelQuery], ontology: Ontology) -> NDArray[np.float64]:
    """Compute `ontology_similarity` of all pairs.

    Parameters
    ----------
    queries
        The labels.
    ontology
        Terms by id.

    Returns
    -------
    NDArray of float64
        Symmetric, shape (n_labels, n_labels).
    """
    return np.array([[ontology_similarity(a, b, ontology) for b in queries] for a in queries])


def declared_terms() -> list[str]:
    """Ids of all terms that the label of any collection is declared to mean.

    Returns
    -------
    list of str
        In order, each once.
    """
    entries = (entry for labels in declared_labels().values() for entry in labels.values())
    return sorted({term for entry in entries for term in entry.terms})


def at_or_above(terms: Iterable[str], ontology: Ontology) -> set[str]:
    """Ids of terms and of all terms above them; of those that are in the ontology."""
    return {id_ for term in terms if term in ontology for id_ in (term, *ontology[term].ancestors)}


def sizes_of_terms(ontology: Ontology) -> Counter[str]:
    """How many terms are at or below each term."""
    sizes: Counter[str] = Counter()
    for id_, term in ontology.items():
        sizes.update((id_, *term.ancestors))
    return sizes
