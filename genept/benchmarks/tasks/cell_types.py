"""The cell task: type of each test cell from its ten nearest training cells, by cosine.

One split is that of GenePT's authors, 80/20 at random with seed 2023 and not stratified: cells
of one donor sit on both sides. The other leaves whole groups (donors, lanes) out. How a
collection is scored is in `genept.benchmarks.tasks.cell_task`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA
from sklearn.model_selection import GroupKFold, train_test_split

from genept.benchmarks.metrics import Indices
from genept.embeddings import expression_weights

TASK: Final = "cell-type-annotation"
N_NEIGHBOURS: Final = 10
METRICS: Final = ("accuracy", "macro_precision", "macro_recall", "macro_f1")
MAJORITY_CLASS: Final = "majority-class"
GROUP_FOLDS: Final = 5


@dataclass(frozen=True)
class CellSplit:
    """A split of cells: its name, and (train, test) rows of each fold.

    Parameters
    ----------
    units
        Unit of resampling of each cell, for the intervals.
    """

    name: str
    folds: tuple[tuple[Indices, Indices], ...]
    units: NDArray[np.str_]

    @property
    def tested(self) -> Indices:
        """The tested cells, fold by fold."""
        return np.concatenate([test for _, test in self.folds])


def random_split(cells: Sequence[str], *, seed: int = 2023) -> CellSplit:
    """Training and test cells: 80/20 at random, not stratified, as GenePT's authors split."""
    if len(cells) * 0.8 < N_NEIGHBOURS + 1:
        raise ValueError(
            f"{len(cells)} cells are too few for {N_NEIGHBOURS} neighbours among the training 80 %"
        )
    train, test = train_test_split(
        np.arange(len(cells)), test_size=0.2, random_state=seed, stratify=None
    )
    return CellSplit(f"random-80-20-seed-{seed}", ((train, test),), np.asarray(cells, np.str_))


def group_split(groups: Sequence[str]) -> CellSplit | None:
    """Every group left out once, in five folds at most; None where groups are single cells."""
    names = np.asarray(groups, np.str_)
    n_groups = len(np.unique(names))
    if not 1 < n_groups < len(names):
        return None
    n_folds = min(GROUP_FOLDS, n_groups)
    folds = tuple(GroupKFold(n_folds).split(names, groups=names))
    if min(len(train) for train, _ in folds) <= N_NEIGHBOURS:
        return None
    return CellSplit(f"leave-group-out-{n_folds}-fold", folds, names)


def annotate(
    vectors: NDArray[np.float32], labels: Sequence[str], train: Indices, test: Indices
) -> NDArray[np.str_]:
    """Types of the test cells by their 10 nearest training cells in cosine similarity.

    Exact, and the same every time: equal similarities are taken in the order of
    the training cells, and a tied vote goes to the larger summed similarity,
    then to the first label in alphabetical order.

    Parameters
    ----------
    vectors
        One row per cell, shape (n, d); any scale.
    labels
        Cell type of each row.

    Raises
    ------
    ValueError
        For vectors that are not finite or of length zero, for cells without a label.
    """
    unit = unit_rows(vectors)
    names, codes = np.unique(_complete_labels(labels, len(unit)), return_inverse=True)
    predicted = np.empty(len(test), dtype=np.intp)
    # Blocks bound the memory of the similarities to ~100 MB whatever the collection's size.
    block = max(1, 25_000_000 // len(train))
    for start in range(0, len(test), block):
        similarity = unit[test[start : start + block]] @ unit[train].T
        closest = nearest(similarity)
        predicted[start : start + block] = _vote(
            codes[train][closest], np.take_along_axis(similarity, closest, axis=1), len(names)
        )
    types: NDArray[np.str_] = names[predicted]
    return types


def majority(labels: Sequence[str], train: Indices, test: Indices) -> NDArray[np.str_]:
    """The most frequent training type, for every test cell."""
    names, counts = np.unique(np.asarray(labels, np.str_)[train], return_counts=True)
    return np.full(len(test), names[counts.argmax()])


def centred(vectors: NDArray[np.float32], train: Indices) -> NDArray[np.float32]:
    """Vectors less the mean of the training cells.

    Pooled vectors are nearly parallel (their cosines exceed .99), because all cells share the
    genes that every cell expresses; the differences between cells are what remains.
    """
    shifted: NDArray[np.float32] = vectors - vectors[train].mean(axis=0, dtype=np.float64)
    return shifted.astype(np.float32)


def expression_pca(
    matrix: csr_matrix,
    train: Indices,
    *,
    unit: str,
    n_components: int = 50,
    seed: int,
) -> NDArray[np.float32]:
    """The raw-expression control: principal components fitted on the training cells only.

    Parameters
    ----------
    matrix
        Cells × genes.
    train
        Training cells, as from `random_split` or `group_split`.
    unit
        Of the values. Counts are scaled to 10,000 a cell and log1p is taken; other
        units (``log2``, ``zscore``) are used as they are.

    Returns
    -------
    NDArray[np.float32]
        All cells, shape (n, n_components).

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
    components: NDArray[np.float32] = pca.transform(values).astype(np.float32)
    return components


def _require_counts(counts: csr_matrix) -> None:
    if (counts.data < 0).any():
        raise ValueError(f"cell {_first_row(counts, counts.data < 0)} has negative counts")
    totals = np.asarray(counts.sum(axis=1)).ravel()
    if (totals == 0).any():
        raise ValueError(f"cell {np.argmin(totals)} has no counts; leave it out and count it")


def _first_row(matrix: csr_matrix, wrong: NDArray[np.bool_]) -> int:
    return int(np.searchsorted(matrix.indptr, np.argmax(wrong), side="right")) - 1


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of unit length; refuses cells whose cosine is undefined."""
    rows = np.asarray(vectors, dtype=np.float32)
    if rows.ndim != 2:
        raise ValueError(f"expected cells × dimensions, got an array of shape {rows.shape}")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    wrong = ~np.isfinite(lengths[:, 0]) | (lengths[:, 0] == 0)
    if wrong.any():
        raise ValueError(
            f"{wrong.sum()} vectors are zero or not finite, the first in row {np.argmax(wrong)}: "
            "their cosine is undefined; leave these cells out and count them"
        )
    unit: NDArray[np.float32] = rows / lengths
    return unit


def _complete_labels(labels: Sequence[str], n_cells: int) -> NDArray[np.str_]:
    if len(labels) != n_cells:
        raise ValueError(f"{n_cells} cells but {len(labels)} labels")
    missing = [row for row, label in enumerate(labels) if not label]
    if missing:
        raise ValueError(f"{len(missing)} cells have no label, the first in row {missing[0]}")
    return np.asarray(labels, dtype=np.str_)


def nearest(similarity: NDArray[np.float32]) -> Indices:
    """Columns of the ten largest similarities of each row; ties in the order of columns."""
    tenth = -np.partition(-similarity, N_NEIGHBOURS - 1, axis=1)[:, N_NEIGHBOURS - 1, None]
    above, level = similarity > tenth, similarity == tenth
    free = N_NEIGHBOURS - above.sum(axis=1, keepdims=True)
    chosen = above | (level & (np.cumsum(level, axis=1) <= free))
    return np.nonzero(chosen)[1].reshape(len(similarity), N_NEIGHBOURS)


def _vote(labels: Indices, similarity: NDArray[np.float32], n_labels: int) -> Indices:
    cells = np.arange(len(labels))[:, None] * n_labels + labels
    size = len(labels) * n_labels
    votes = np.bincount(cells.ravel(), minlength=size).reshape(-1, n_labels)
    sums = np.bincount(cells.ravel(), similarity.ravel().astype(np.float64), size)
    leading = votes == votes.max(axis=1, keepdims=True)
    choice: Indices = np.where(leading, sums.reshape(-1, n_labels), -np.inf).argmax(axis=1)
    return choice
