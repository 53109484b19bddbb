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

from genept.embeddings.text_readings.similarities import (
    compared_expression,
    softmax,
    speaking_genes,
    standardised,
    unit_rows_of,
)

Floats = NDArray[np.float64]

COMPONENTS: Final = 20
"""Leading directions of expression that are kept, all with the same weight."""

NEIGHBOURS: Final = 15
"""Observations over which a score is averaged, itself included."""

POWER: Final = 1.5
"""Of a gene's standardised similarity: few genes that a text speaks of decide."""

MARKERS: Final = 0.5
"""Length of the weights of named markers, where that of all other genes together is 1."""

MOST_DECOMPOSED: Final = 20_000
"""Observations that directions are found in; of more, as many are drawn, and the others are placed
among these."""

PLACED_AT_ONCE: Final = 4_096

LARGEST: Final = 5.0
"""Z-scores of expression are cut here."""

SMALLEST_SHARE: Final = 0.01
"""Share of observations that must express a gene."""

SHARPNESS: Final = 12.0
"""Of probabilities: the least calibration error on pbmc-hao, .03, types weighing the same."""

UNSURE: Final = 0.7
"""Below this probability of the best text the answer is none of them: on pbmc-hao right for 88 % of
the 45 % of cells that it answers, and none for 81 % of cells whose type is not among the texts."""

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
        found = _decomposed(expression, unit, seed)
        return Structure(found.genes, found.loadings, found.smoothed(found.left))
    drawn = np.sort(np.random.default_rng(seed).choice(n, MOST_DECOMPOSED, replace=False))
    found = _decomposed(sp.csr_matrix(expression[drawn]), unit, seed)
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
    found = _decomposed(expression, unit, seed)
    return np.sort(found.nearest(found.left[[number]])[0])


@dataclass(frozen=True)
class _Decomposition:
    """Leading directions of the standardised expression of some observations.

    `left` is observations × directions, columns of unit length; `strengths` are the singular
    values; `mean` and `spread` those of the genes in `genes`.
    """

    genes: NDArray[np.intp]
    mean: Floats
    spread: Floats
    left: NDArray[np.floating]
    strengths: NDArray[np.floating]
    loadings: Floats

    def placed(self, expression: sp.csr_matrix, unit: str) -> Floats:
        """Other observations along the directions, as `left`."""
        values = compared_expression(expression, unit)[:, self.genes].toarray()
        z = np.clip((values - self.mean) / self.spread, -LARGEST, LARGEST)
        return np.asarray(z @ self.loadings.T / np.maximum(self.strengths, _SMALLEST))

    def nearest(self, along: NDArray[np.floating]) -> NDArray[np.intp]:
        """The observations of `left` nearest to others by cosine, themselves included."""
        from sklearn.neighbors import NearestNeighbors
        from threadpoolctl import threadpool_limits

        own, others = (unit_rows_of(rows * self.strengths) for rows in (self.left, along))
        with threadpool_limits(1):
            near = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(own))).fit(own)
            found: NDArray[np.intp] = near.kneighbors(others, return_distance=False)
        return found

    def smoothed(self, along: NDArray[np.floating]) -> Floats:
        """Means over the nearest observations of `left`."""
        return np.asarray(self.left[self.nearest(along)].mean(axis=1), np.float64)


def _decomposed(expression: sp.csr_matrix, unit: str, seed: int) -> _Decomposition:
    from sklearn.utils.extmath import randomized_svd
    from threadpoolctl import threadpool_limits

    values = compared_expression(expression, unit)
    by_gene = values.tocsc()
    often = np.flatnonzero(np.diff(by_gene.indptr) >= SMALLEST_SHARE * values.shape[0])
    dense = by_gene[:, often].toarray().astype(np.float32)
    varies = (dense > dense.min(axis=0)).mean(axis=0) >= SMALLEST_SHARE
    dense = dense[:, varies]
    spread = dense.std(axis=0)
    mean, spread = dense.mean(axis=0), np.where(spread > _SMALLEST, spread, 1)
    z = np.clip((dense - mean) / spread, -LARGEST, LARGEST)
    k = min(COMPONENTS, *(size - 1 for size in z.shape))
    with threadpool_limits(1):
        left, strengths, right = randomized_svd(z, k, n_iter=5, random_state=seed)
    return _Decomposition(often[varies], mean, spread, left, strengths, right.astype(np.float64))


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
