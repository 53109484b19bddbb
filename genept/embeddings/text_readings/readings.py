"""Scores of observations for texts, through the descriptions of genes: no label is read.

A text weighs genes by the similarity of their descriptions; observations are compared by what they
express of these genes, after expression is reduced to its leading directions and averaged over
nearest neighbours. Every setting was chosen on collection pbmc-hao (docs/text_and_expression.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from genept.embeddings.text_readings.similarities import (
    compared_expression,
    softmax,
    speaking_genes,
    standardised,
)

Floats = NDArray[np.float64]

COMPONENTS: Final = 20
"""Leading directions of expression that are kept, all with the same weight."""

NEIGHBOURS: Final = 15
"""Observations over which a score is averaged, itself included."""

POWER: Final = 1.5
"""Of a gene's standardised similarity: few genes that a text speaks of decide."""

LARGEST: Final = 5.0
"""Z-scores of expression are cut here."""

SMALLEST_SHARE: Final = 0.01
"""Share of observations that must express a gene."""

SHARPNESS: Final = 8.0
"""Of probabilities: the least log loss on pbmc-hao, types weighing the same."""

UNSURE: Final = 0.5
"""Below this probability of the best text the answer is none of them: on pbmc-hao right for 80 % of
the 38 % of cells that it answers, and none for 81 % of cells whose type is not among the texts."""

_SMALLEST: Final = 1e-9


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
        Of the randomised decomposition.

    Returns
    -------
    Structure
        With as many directions as `COMPONENTS`, or as the matrix has.
    """
    kept, left, strengths, right = _decomposed(expression, unit, seed)
    nearest = _nearest(left * strengths)
    return Structure(kept, right.astype(np.float64), left[nearest].mean(axis=1).astype(np.float64))


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
    _, left, strengths, _ = _decomposed(expression, unit, seed)
    return np.sort(_nearest(left * strengths, [number])[0])


def _decomposed(
    expression: sp.csr_matrix, unit: str, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]:
    """Numbers of the genes, and the leading directions of their standardised expression."""
    from sklearn.utils.extmath import randomized_svd
    from threadpoolctl import threadpool_limits

    values = compared_expression(expression, unit)
    by_gene = values.tocsc()
    often = np.flatnonzero(np.diff(by_gene.indptr) >= SMALLEST_SHARE * values.shape[0])
    dense = by_gene[:, often].toarray().astype(np.float32)
    varies = (dense > dense.min(axis=0)).mean(axis=0) >= SMALLEST_SHARE
    kept, z = often[varies], standardised(dense[:, varies])
    np.clip(z, -LARGEST, LARGEST, out=z)
    k = min(COMPONENTS, *(size - 1 for size in z.shape))
    with threadpool_limits(1):
        left, strengths, right = randomized_svd(z, k, n_iter=5, random_state=seed)
    return kept, left, strengths, right


def _nearest(
    placed: NDArray[np.floating], rows: Sequence[int] | slice = slice(None)
) -> NDArray[np.intp]:
    """The observations nearest to those of `rows` by cosine, themselves included."""
    from sklearn.neighbors import NearestNeighbors
    from threadpoolctl import threadpool_limits

    unit = placed / np.maximum(np.linalg.norm(placed, axis=1, keepdims=True), _SMALLEST)
    with threadpool_limits(1):
        near = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(unit))).fit(unit)
        nearest: NDArray[np.intp] = near.kneighbors(unit[rows], return_distance=False)
    return nearest


def gene_weights(similarity: Floats) -> Floats:
    """Weights of genes for texts: standardised similarity, negative parts cut, to a power.

    Parameters
    ----------
    similarity
        Genes × texts; NaN where a gene has no description.

    Returns
    -------
    NDArray of float64
        The same shape, columns of unit length; 0 without a description.
    """
    weights = speaking_genes(similarity, POWER)
    length = np.linalg.norm(weights, axis=0)
    return np.asarray(weights / np.where(length > 0, length, 1))


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


def read_observations(structure: Structure, similarity: Floats) -> Reading:
    """Score observations for texts.

    Parameters
    ----------
    structure
        Of their expression.
    similarity
        Of the genes on the collection's axis with the texts; NaN without a description.

    Returns
    -------
    Reading
        One column for each text.
    """
    weights = gene_weights(similarity[structure.genes])
    return Reading(np.asarray(standardised(structure.read(weights))))
