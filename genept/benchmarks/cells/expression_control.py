"""Raw expression, the control of every representation of cells: its principal components."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA

from genept.benchmarks.scores import Indices
from genept.embeddings import expression_weights

COMPONENTS: Final = 50
"""Principal components of expression, the control of every representation."""

Cells = NDArray[np.float32]


def expression_pca(
    matrix: csr_matrix, train: Indices, *, unit: str, n_components: int = COMPONENTS, seed: int
) -> Cells:
    """The raw-expression control: principal components fitted on the training cells only.

    Counts are scaled to 10,000 a cell and log1p is taken; other units (``log2``, ``zscore``) are
    used as they are. All cells are returned, shape (n, n_components).

    Raises
    ------
    ValueError
        For values that are not finite, negative or empty counts, too few training cells.
    """
    values = csr_matrix(matrix, dtype=np.float32, copy=True)
    if not np.isfinite(values.data).all():
        raise ValueError(f"cell {_first_row(values, ~np.isfinite(values.data))} is not finite")
    if min(len(train), values.shape[1]) <= n_components:
        raise ValueError(
            f"{n_components} components need more than {n_components} training cells and genes, "
            f"got {len(train)} × {values.shape[1]}"
        )
    if unit == "counts":
        _require_counts(values)
        values = expression_weights(values, unit)
    # arpack centres a sparse matrix without filling it in.
    pca = PCA(n_components, svd_solver="arpack", random_state=seed).fit(values[train])
    components: Cells = pca.transform(values).astype(np.float32)
    return components


def _require_counts(counts: csr_matrix) -> None:
    if (counts.data < 0).any():
        raise ValueError(f"cell {_first_row(counts, counts.data < 0)} has negative counts")
    totals = np.asarray(counts.sum(axis=1)).ravel()
    if (totals == 0).any():
        raise ValueError(f"cell {np.argmin(totals)} has no counts; leave it out and count it")


def _first_row(matrix: csr_matrix, wrong: NDArray[np.bool_]) -> int:
    return int(np.searchsorted(matrix.indptr, np.argmax(wrong), side="right")) - 1
