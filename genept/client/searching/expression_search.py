"""Search among cells and samples by a text: who expresses the genes that are nearest to it.

The vector of a cell is dominated by what all cells express, and cells of unusual composition
(platelets, cell lines) lie nearest to many texts. Genes are compared across cells first, here.
Searching with vectors is `genept.client.searching.search`.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from genept.embeddings import expression_weights

if TYPE_CHECKING:
    import scipy.sparse as sp

N_GENES: Final = 50
"""Genes that stand for a text; of 50 and 100, and of powers of all cosines, what found the meant
type most often on six questions about one collection (docs/benchmarks.md)."""

LARGEST: Final = 5.0
"""Z-scores are cut here: one gene that almost nobody expresses must not decide alone."""

Floats = npt.NDArray[np.float64]


def expression_scores(expression: "sp.csr_matrix", unit: str, cosines: Floats) -> Floats:
    """How much more each observation expresses the genes nearest to a text than others do.

    Parameters
    ----------
    expression
        Observations × genes of one collection, in `unit`.
    unit
        Unit of the values.
    cosines
        Centred cosine of each gene with the text, shape (n_genes,); NaN without a vector.

    Returns
    -------
    NDArray of float64
        Mean z-score of these genes over the collection, weighted by cosine, shape (n,).
    """
    weights = expression_weights(expression.astype(np.float32), unit).tocsc()
    varies = np.diff(weights.indptr) > 0
    usable = np.where(varies & np.isfinite(cosines), cosines, -1.0)
    nearest = np.argsort(-usable, kind="stable")[:N_GENES]
    nearest = nearest[usable[nearest] > 0]
    if not len(nearest):
        return np.zeros(expression.shape[0])
    values = weights[:, nearest].toarray().astype(np.float64)
    spread = values.std(axis=0)
    z = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1)
    share = cosines[nearest] / cosines[nearest].sum()
    scores: Floats = np.clip(z, -LARGEST, LARGEST) @ share
    return scores
