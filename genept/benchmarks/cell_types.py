"""The cell task: type of each test cell from its ten nearest training cells, by cosine.

The split is that of GenePT's authors, 80/20 at random with seed 2023 and not
stratified. Cells of one donor can therefore sit on both sides: compare
representations by it, do not read it as accuracy on a new donor.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from genept.benchmarks.scores import Indices, classification_scores

TASK: Final = "cell-type-annotation"
N_NEIGHBOURS: Final = 10
METRICS: Final = ("accuracy", "macro_precision", "macro_recall", "macro_f1")
MAJORITY_CLASS: Final = "majority-class"


@dataclass(frozen=True)
class CellAnnotation:
    """Type of each test cell as published (`true`) and as its neighbours say (`predicted`)."""

    true: NDArray[np.str_]
    predicted: NDArray[np.str_]
    test_index: Indices


def split_cells(n_cells: int, *, seed: int = 2023) -> tuple[Indices, Indices]:
    """Training and test cells: 80/20 at random, not stratified, as GenePT's authors split."""
    if n_cells * 0.8 < N_NEIGHBOURS + 1:
        raise ValueError(
            f"{n_cells} cells are too few for {N_NEIGHBOURS} neighbours among the training 80 %"
        )
    train, test = train_test_split(
        np.arange(n_cells), test_size=0.2, random_state=seed, stratify=None
    )
    return train, test


def annotate_cells(
    vectors: NDArray[np.float32], labels: Sequence[str], *, seed: int = 2023
) -> CellAnnotation:
    """Annotate the test cells by 10 nearest neighbours in cosine similarity.

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
    unit = _unit_rows(vectors)
    names, codes = np.unique(_complete_labels(labels, len(unit)), return_inverse=True)
    train, test = split_cells(len(unit), seed=seed)
    predicted = np.empty(len(test), dtype=np.intp)
    # Blocks bound the memory of the similarities to ~100 MB whatever the collection's size.
    block = max(1, 25_000_000 // len(train))
    for start in range(0, len(test), block):
        similarity = unit[test[start : start + block]] @ unit[train].T
        nearest = _nearest(similarity)
        predicted[start : start + block] = _vote(
            codes[train][nearest], np.take_along_axis(similarity, nearest, axis=1), len(names)
        )
    return CellAnnotation(true=names[codes[test]], predicted=names[predicted], test_index=test)


def cell_type_scores(
    representations: Mapping[str, NDArray[np.float32]],
    labels: Sequence[str],
    dataset: str,
    controls: Collection[str],
    *,
    seed: int = 2023,
) -> pl.DataFrame:
    """Score every representation of the same cells, and the majority class, on one split.

    Parameters
    ----------
    representations
        By name, one row per cell in the order of `labels`.
    dataset
        Collection that the cells come from.
    controls
        Names of the representations that are baselines.

    Returns
    -------
    pl.DataFrame
        Rows of the table ``benchmark_results``; intervals are over test cells.
    """
    unknown = set(controls) - set(representations) - {MAJORITY_CLASS}
    if unknown:
        raise ValueError(f"controls {sorted(unknown)} are not among the representations")
    rows: list[dict[str, Any]] = []
    annotations = {
        name: annotate_cells(vectors, labels, seed=seed)
        for name, vectors in representations.items()
    }
    annotations[MAJORITY_CLASS] = _majority(labels, seed)
    for name, annotation in annotations.items():
        scores = classification_scores(
            annotation.true, annotation.predicted, annotation.test_index, METRICS, seed=seed
        )
        rows += [
            {
                "task": TASK,
                "dataset": dataset,
                "representation": name,
                "model": "10-nn-cosine",
                "split": f"random-80-20-seed-{seed}",
                "metric": metric,
                "value": score.value,
                "ci_low": score.ci_low,
                "ci_high": score.ci_high,
                "n": score.n,
                "is_control": name in controls or name == MAJORITY_CLASS,
            }
            for metric, score in scores.items()
        ]
    return pl.DataFrame(rows)


def centred(vectors: NDArray[np.float32], train: Indices) -> NDArray[np.float32]:
    """Vectors less the mean of the training cells.

    Pooled vectors are nearly parallel (their cosines exceed .99), because all cells share the
    genes that are everywhere; what is left after the mean is what tells cells apart.
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
        Training cells, as from `split_cells`.
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
        values = _log_normalised(values)
    # arpack centres a sparse matrix without filling it in.
    pca = PCA(n_components, svd_solver="arpack", random_state=seed).fit(values[train])
    components: NDArray[np.float32] = pca.transform(values).astype(np.float32)
    return components


def _log_normalised(counts: csr_matrix) -> csr_matrix:
    if (counts.data < 0).any():
        raise ValueError(f"cell {_first_row(counts, counts.data < 0)} has negative counts")
    totals = np.asarray(counts.sum(axis=1)).ravel()
    if (totals == 0).any():
        raise ValueError(f"cell {np.argmin(totals)} has no counts; leave it out and count it")
    counts.data = np.log1p(counts.data * np.repeat(1e4 / totals, np.diff(counts.indptr)))
    return counts.astype(np.float32)


def _first_row(matrix: csr_matrix, wrong: NDArray[np.bool_]) -> int:
    return int(np.searchsorted(matrix.indptr, np.argmax(wrong), side="right")) - 1


def _unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
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


def _nearest(similarity: NDArray[np.float32]) -> Indices:
    """Columns of the ten largest similarities of each row; ties in the order of columns."""
    tenth = -np.partition(-similarity, N_NEIGHBOURS - 1, axis=1)[:, N_NEIGHBOURS - 1, None]
    above, level = similarity > tenth, similarity == tenth
    room = N_NEIGHBOURS - above.sum(axis=1, keepdims=True)
    chosen = above | (level & (np.cumsum(level, axis=1) <= room))
    return np.nonzero(chosen)[1].reshape(len(similarity), N_NEIGHBOURS)


def _vote(labels: Indices, similarity: NDArray[np.float32], n_labels: int) -> Indices:
    cells = np.arange(len(labels))[:, None] * n_labels + labels
    size = len(labels) * n_labels
    votes = np.bincount(cells.ravel(), minlength=size).reshape(-1, n_labels)
    sums = np.bincount(cells.ravel(), similarity.ravel().astype(np.float64), size)
    leading = votes == votes.max(axis=1, keepdims=True)
    choice: Indices = np.where(leading, sums.reshape(-1, n_labels), -np.inf).argmax(axis=1)
    return choice


def _majority(labels: Sequence[str], seed: int) -> CellAnnotation:
    true = _complete_labels(labels, len(labels))
    train, test = split_cells(len(true), seed=seed)
    names, counts = np.unique(true[train], return_counts=True)
    majority = np.full(len(test), names[counts.argmax()])
    return CellAnnotation(true=true[test], predicted=majority, test_index=test)
