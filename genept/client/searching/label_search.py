"""Search by published labels: a text means types of observations, whose labels a map is fitted on.

Fitted maps are kept on this machine under the content of what they were fitted on. How a map is
fitted is `genept.embeddings.text_readings.text_maps`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from genept.client.searching.released_expression import ReleasedExpression
from genept.common import replacement
from genept.embeddings.text_readings import (
    Head,
    LabelQuery,
    Ontology,
    TextMap,
    fit_text_map,
    label_queries,
    structure_of,
    text_vectors,
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
    "genept.embeddings.text_readings.label_meanings",
    "genept.embeddings.text_readings.readings",
    "genept.embeddings.text_readings.similarities",
    "genept.embeddings.text_readings.text_maps",
)

_ARRAYS: Final = ("texts", "centre", "spread", "weights", "offsets")


@dataclass(frozen=True)
class FittedLabels:
    """A map that was fitted on the labels of a collection.

    Parameters
    ----------
    directions
        Observations × directions.
    map
        From them, and from texts, to types.
    """

    directions: Floats
    map: TextMap

    def save(self, path: Path) -> None:
        """Write it whole, or not at all; without pickles."""
        path.parent.mkdir(parents=True, exist_ok=True)
        about = json.dumps({"types": self.map.types, "head": self.map.head}).encode()
        arrays: dict[str, Any] = {name: getattr(self.map, name) for name in _ARRAYS}
        with replacement(path) as file:
            np.savez(
                file, directions=self.directions, about=np.frombuffer(about, np.uint8), **arrays
            )

    @classmethod
    def load(cls, path: Path) -> FittedLabels | None:
        """Read it; None if there is none, or it cannot be read."""
        try:
            with np.load(path, allow_pickle=False) as kept:
                about = json.loads(kept["about"].tobytes())
                arrays = {name: kept[name] for name in _ARRAYS}
                directions = kept["directions"]
        except (OSError, ValueError, KeyError):
            return None
        head = cast("Head", about["head"])
        return cls(directions, TextMap(tuple(about["types"]), **arrays, head=head))


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
    directions = structure_of(of.expression, of.unit).scores
    vectors = text_vectors(texts.centre, texts.phrasings(of))
    fitted = FittedLabels(directions, fit_text_map(directions, of.labels, of.types, vectors))
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
    matches, typical = {}, []
    for name, of in fitted.items():
        others = [other.map.texts for key, other in fitted.items() if key != name]
        match, spread = of.map.matches(of.directions, text[None], _distinct(others))
        matches[name] = match[:, 0]
        typical.append(spread)
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
