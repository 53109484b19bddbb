"""Scores of observations for texts, through the descriptions of genes: no label is read.

A text weighs genes by the similarity of their descriptions, and the markers that it names;
observations are compared by what they express of these genes, after expression is reduced to its
leading directions and averaged over nearest neighbours. Every setting was chosen on collection
pbmc-hao (docs/text_and_expression.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from genept.embeddings.text_readings.directions import decompose
from genept.embeddings.text_readings.similarities import softmax, speaking_genes, standardised

Floats = NDArray[np.float64]

COMPONENTS: Final = 20
"""Leading directions of expression that are kept, all with the same weight."""

POWER: Final = 1.5
"""Of a gene's standardised similarity: few genes that a text speaks of decide."""

MARKERS: Final = 0.5
"""Length of the weights of named markers, where that of all other genes together is 1."""

MOST_DECOMPOSED: Final = 20_000
"""Observations that directions are found in; of more, as many are drawn, and the others are placed
among these."""

PLACED_AT_ONCE: Final = 4_096

SHARPNESS: Final = 12.0
"""Of probabilities: the least calibration error on pbmc-hao, .03, types weighing the same."""

UNSURE: Final = 0.7
"""Below this probability of the best text the answer is none of them: on pbmc-hao right for 88 % of
the 45 % of cells that it answers, and none for 81 % of cells whose type is not among the texts."""


@dataclass(frozen=True)
class Structure:
    """The leading directions of a collection's expression.

    Parameters
    ----------
    genes
        Numbers of the genes, on the collection's axis, that enough observations express.
    loadings
        Directions × genes.
    scores
        Observations × directions, averaged over neighbours, columns of unit length before that.
    """

    genes: NDArray[np.intp]
    loadings: Floats
    scores: Floats

    def read(self, weights: Floats) -> Floats:
        """Scores of texts from gene weights (genes × texts): observations × texts."""
        return np.asarray(self.scores @ (self.loadings @ weights))


def structure_of(expression: sp.csr_matrix, unit: str, *, seed: int = 0) -> Structure:
    """Find the leading directions of standardised expression, and smooth observations along them.

    Parameters
    ----------
    expression
        Observations × genes, in `unit`.
    unit
        Unit of the values.
    seed
        Of the randomised decomposition, and of which observations are drawn.

    Returns
    -------
    Structure
        With as many directions as `COMPONENTS`, or as the matrix has. Of more than
        `MOST_DECOMPOSED` observations, those that are not drawn are averaged over the drawn ones
        nearest to them.
    """
    n = expression.shape[0]
    if n <= MOST_DECOMPOSED:
        found = decompose(expression, unit, COMPONENTS, seed=seed)
        return Structure(found.genes, found.loadings, found.smoothed(found.left))
    drawn = np.sort(np.random.default_rng(seed).choice(n, MOST_DECOMPOSED, replace=False))
    found = decompose(sp.csr_matrix(expression[drawn]), unit, COMPONENTS, seed=seed)
    scores = np.empty((n, len(found.loadings)))
    for first in range(0, n, PLACED_AT_ONCE):
        rows = slice(first, first + PLACED_AT_ONCE)
        scores[rows] = found.smoothed(found.placed(sp.csr_matrix(expression[rows]), unit))
    return Structure(found.genes, found.loadings, scores)


def neighbours_of(
    expression: sp.csr_matrix, unit: str, number: int, *, seed: int = 0
) -> NDArray[np.intp]:
    """Find the observations that are nearest to one along the leading directions of expression.

    Parameters
    ----------
    expression
        Observations × genes, in `unit`.
    unit
        Unit of the values.
    number
        Number of the observation.
    seed
        Of the randomised decomposition.

    Returns
    -------
    NDArray of intp
        `NEIGHBOURS` numbers, itself among them; fewer if there are not so many observations.
    """
    found = decompose(expression, unit, COMPONENTS, seed=seed)
    return np.sort(found.nearest(found.left[[number]])[0])


def gene_weights(similarity: Floats, markers: Floats | None = None) -> Floats:
    """Weights of genes for texts: standardised similarity, negative parts cut, to a power.

    Parameters
    ----------
    similarity
        Genes × texts; NaN where a gene has no description.
    markers
        Genes × texts, as `marker_matrix` returns them; None: the texts name none.

    Returns
    -------
    NDArray of float64
        The same shape. Of columns of unit length; to those of a text with markers their own are
        added, of length `MARKERS`. 0 without a description, unless the text names the gene.
    """
    weights = _unit_columns(speaking_genes(similarity, POWER))
    return weights if markers is None else weights + MARKERS * _unit_columns(markers)


def _unit_columns(matrix: Floats) -> Floats:
    length = np.linalg.norm(matrix, axis=0)
    return np.asarray(matrix / np.where(length > 0, length, 1))


@dataclass(frozen=True)
class Reading:
    """What texts say of observations.

    Parameters
    ----------
    scores
        Observations × texts, columns standardised over the collection.
    """

    scores: Floats

    @property
    def best(self) -> NDArray[np.intp]:
        """The text with the highest score, of each observation."""
        return np.asarray(self.scores.argmax(axis=1))

    @property
    def probabilities(self) -> Floats:
        """Of each text if one of them is true, observations × texts."""
        return softmax(SHARPNESS * self.scores)

    @property
    def answers(self) -> NDArray[np.intp]:
        """The best text of each observation; -1, none of these, where no text stands out."""
        return np.where(self.probabilities.max(axis=1) < UNSURE, -1, self.best)


def read_observations(
    structure: Structure, similarity: Floats, markers: Floats | None = None
) -> Reading:
    """Score observations for texts.

    Parameters
    ----------
    structure
        Of their expression.
    similarity
        Of the genes on the collection's axis with the texts; NaN without a description.
    markers
        What the texts say to be expressed or not, of the same shape; None: nothing.

    Returns
    -------
    Reading
        One column for each text.
    """
    kept = structure.genes
    weights = gene_weights(similarity[kept], None if markers is None else markers[kept])
    return Reading(np.asarray(standardised(structure.read(weights))))
