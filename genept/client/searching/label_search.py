"""Search by published labels: a text means types of observations, whose labels a map is fitted on.

Fitted maps are kept on this machine under the content of what they were fitted on. How a map is
fitted is `genept.embeddings.text_readings.text_maps`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genept.client.searching.released_expression import ReleasedExpression
from genept.common import replacement
from genept.embeddings.text_readings import (
    LabelQuery,
    Ontology,
    TypeTerms,
    label_queries,
    shares_through_terms,
    text_vectors,
    type_probabilities,
    type_shares,
    type_terms,
    typical_spread,
)
from genept.storage import code_version, sha256_of

Floats = NDArray[np.float64]
Embed = Callable[[list[str]], NDArray[np.float32]]

MOST_OBSERVATIONS: Final = 20_000
"""A larger collection is searched without its labels: neighbours of all would be searched for."""

FEWEST_TYPES: Final = 2

SHARE_OF_GENES: Final = 0.1
"""Weight of the genes nearest to a text, standardised over observations, beside the map."""

_CODE: Final = (
    "genept.client.searching.label_search",
    "genept.collections.labels",
    "genept.embeddings.pooling",
    "genept.embeddings.text_readings.directions",
    "genept.embeddings.text_readings.label_meanings",
    "genept.embeddings.text_readings.similarities",
    "genept.embeddings.text_readings.term_shares",
    "genept.embeddings.text_readings.text_maps",
    "genept.embeddings.text_readings.type_regressions",
)


@dataclass(frozen=True)
class FittedLabels:
    """What a collection's labels say of its observations, and what texts are compared with.

    Parameters
    ----------
    of_types
        Observations × types (`type_probabilities`).
    texts
        Vectors of the types' texts, types × dimensions.
    terms
        Ontology terms that overlap with the types.
    names
        Vectors of their names, (n_names, dimensions).
    """

    of_types: Floats
    texts: Floats
    terms: TypeTerms
    names: Floats

    def save(self, path: Path) -> None:
        """Write it whole, or not at all; without pickles."""
        path.parent.mkdir(parents=True, exist_ok=True)
        about = json.dumps({"terms": self.terms.terms, "names": self.terms.names}).encode()
        with replacement(path) as file:
            np.savez(
                file, of_types=self.of_types, texts=self.texts, names=self.names,
                term_of=self.terms.term_of, shares=self.terms.shares,
                about=np.frombuffer(about, np.uint8),
            )  # fmt: skip

    @classmethod
    def load(cls, path: Path) -> FittedLabels | None:
        """Read it; None if there is none, or it cannot be read."""
        try:
            with np.load(path, allow_pickle=False) as kept:
                about = json.loads(kept["about"].tobytes())
                terms = TypeTerms(
                    tuple(about["terms"]), tuple(about["names"]), kept["term_of"], kept["shares"]
                )
                return cls(kept["of_types"], kept["texts"], terms, kept["names"])
        except (OSError, ValueError, KeyError):
            return None


@dataclass(frozen=True)
class LabelTexts:
    """What labels are compared with: a model of texts, and what labels mean.

    Parameters
    ----------
    space
        Id of the space.
    embed
        Embeds texts in it.
    centre
        Mean of its genes (`gene_centre`).
    genes_version
        Changes with the vectors of its genes.
    ontology
        Opens terms by id; empty: labels are their words.
    ontology_version
        Changes with the ontology.
    """

    space: str
    embed: Embed
    centre: Floats
    genes_version: str
    ontology: Callable[[], Ontology]
    ontology_version: str

    def queries(self, of: ReleasedExpression) -> list[LabelQuery]:
        """What the types of a collection mean."""
        return label_queries(of.collection, of.types, self.ontology(), of_field=of.label)

    def phrasings(self, of: ReleasedExpression) -> list[NDArray[np.float32]]:
        """Vectors of the phrasings of each type, (n_phrasings, dimensions)."""
        texts = [query.texts(self.ontology()) for query in self.queries(of)]
        vectors = self.embed([phrasing for each in texts for phrasing in each])
        ends = np.cumsum([len(each) for each in texts])[:-1]
        return [np.asarray(each) for each in np.split(vectors, ends)]


def is_searchable(of: ReleasedExpression) -> bool:
    """Whether a collection has labels that a map can be fitted on, and is not too large.

    Parameters
    ----------
    of
        The collection.

    Returns
    -------
    bool
        Whether it is.
    """
    return len(of.types) >= FEWEST_TYPES and of.observations.height <= MOST_OBSERVATIONS


def fitted_labels(of: ReleasedExpression, texts: LabelTexts, folder: Path) -> FittedLabels:
    """Fit a map on the labels of a collection, unless it was kept.

    Parameters
    ----------
    of
        The collection; `is_searchable`.
    texts
        What its labels are compared with.
    folder
        Where maps are kept.

    Returns
    -------
    FittedLabels
        The map.
    """
    inputs = (of.version, of.label, texts.space, texts.genes_version, texts.ontology_version)
    path = folder / f"{sha256_of(*inputs, [code_version(name) for name in _CODE])}.npz"
    if (kept := FittedLabels.load(path)) is not None:
        return kept
    terms = type_terms(texts.queries(of), texts.ontology())
    named = np.asarray(texts.embed(list(terms.names)))
    fitted = FittedLabels(
        type_probabilities(of.expression, of.unit, of.labels, of.types),
        text_vectors(texts.centre, texts.phrasings(of)),
        terms,
        text_vectors(texts.centre, np.split(named, len(named))),
    )
    fitted.save(path)
    return fitted


def label_scores(
    fitted: Mapping[str, FittedLabels], text: Floats, by_genes: Mapping[str, Floats]
) -> dict[str, Floats]:
    """Scores of the observations of several collections for a text.

    A text that means a type of one collection means less of the types of the others: all types
    share it. Observations are compared over all collections together, so that one in which every
    observation is what the text means is found, too.

    Parameters
    ----------
    fitted
        Maps by collection.
    text
        Vector of the text (`text_vectors`), (dimensions,).
    by_genes
        Scores through genes, by collection.

    Returns
    -------
    dict of NDArray of float64
        By collection, one score for each observation.
    """
    through_terms = shares_through_terms(
        [of.terms for of in fitted.values()], [of.names for of in fitted.values()], text
    )
    matches, typical = {}, []
    for (name, of), by_terms in zip(fitted.items(), through_terms, strict=True):
        others = [other.texts for key, other in fitted.items() if key != name]
        by_texts = type_shares(of.texts, text[None], _distinct(others))[0]
        matches[name] = of.of_types @ (by_texts + by_terms) / 2
        typical.append(typical_spread(of.of_types))
    mean, unit = np.concatenate(list(matches.values())).mean(), float(np.mean(typical))
    scores = {}
    for name, match in matches.items():
        genes = by_genes[name]
        spread = float(genes.std())
        genes = (genes - genes.mean()) / (spread if spread > 0 else 1)
        scores[name] = (match - mean) / unit + SHARE_OF_GENES * genes
    return scores


def _distinct(texts: Sequence[Floats]) -> Floats | None:
    if not texts:
        return None
    every = np.concatenate(texts)
    _, first = np.unique(every.round(6), axis=0, return_index=True)
    return every[np.sort(first)]
