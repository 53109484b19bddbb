"""Leading directions of a collection's standardised expression, and neighbours along them.

What is read along them is in `readings` (without labels) and `type_regressions` (with labels).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from genept.embeddings.text_readings.similarities import compared_expression, unit_rows_of

Floats = NDArray[np.float64]

NEIGHBOURS: Final = 15
"""Observations over which a score is averaged, itself included."""

LARGEST: Final = 5.0
"""Z-scores of expression are cut here."""

SMALLEST_SHARE: Final = 0.01
"""Share of observations that must express a gene."""

_SMALLEST: Final = 1e-9


@dataclass(frozen=True)
class Decomposition:
    """Leading directions of the standardised expression of some observations.

    Parameters
    ----------
    genes
        Numbers of the genes, on the collection's axis, that enough observations express.
    mean, spread
        Of these genes, on the scale on which observations are compared.
    left
        Observations × directions, columns of unit length.
    strengths
        Singular values.
    loadings
        Directions × genes.
    """

    genes: NDArray[np.intp]
    mean: NDArray[np.floating]
    spread: NDArray[np.floating]
    left: NDArray[np.floating]
    strengths: NDArray[np.floating]
    loadings: Floats

    def deviations(self, expression: sp.csr_matrix, unit: str) -> NDArray[np.floating]:
        """Z-scores of the genes, of these or other observations: observations × genes."""
        values = compared_expression(expression, unit)[:, self.genes].toarray()
        return np.asarray(np.clip((values - self.mean) / self.spread, -LARGEST, LARGEST))

    def placed(self, expression: sp.csr_matrix, unit: str) -> Floats:
        """Other observations along the directions, as `left`."""
        z = self.deviations(expression, unit)
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


def decompose(
    expression: sp.csr_matrix, unit: str, directions: int, *, seed: int = 0
) -> Decomposition:
    """Find the leading directions of standardised expression.

    Parameters
    ----------
    expression
        Observations × genes, in `unit`.
    unit
        Unit of the values.
    directions
        How many to find, at most; there are fewer than observations, and than genes.
    seed
        Of the randomised decomposition.

    Returns
    -------
    Decomposition
        Of the genes that at least `SMALLEST_SHARE` of the observations express.
    """
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
    k = min(directions, *(size - 1 for size in z.shape))
    with threadpool_limits(1):
        left, strengths, right = randomized_svd(z, k, n_iter=5, random_state=seed)
    return Decomposition(often[varies], mean, spread, left, strengths, right.astype(np.float64))
