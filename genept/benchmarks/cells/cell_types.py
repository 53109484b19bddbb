"""Scores of a space of cells: types of test cells by their nearest training cells, and structure.

Annotation is by cosine. One split is that of GenePT's authors, 80/20 at random with seed 2023 and
not stratified: cells of one donor sit on both sides. The other leaves whole groups (donors, lanes)
out. Structure needs no classifier: agreement of clusters with the types is that of GenePT (k-means,
as many clusters as types), separation and mixing are in the manner of scIB (Luecken et al. 2022).
How a collection is scored is in `genept.benchmarks.cells.cell_task`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.cluster import MiniBatchKMeans
from sklearn.metrics import silhouette_samples
from sklearn.metrics.cluster import expected_mutual_information
from sklearn.model_selection import GroupKFold, train_test_split
from threadpoolctl import threadpool_limits

from genept.benchmarks.scores import Floats, Indices, Score, bootstrap_interval, mean_score

Cells = NDArray[np.float32]
Labels = NDArray[np.str_]

TASK: Final = "cell-type-annotation"
N_NEIGHBOURS: Final = 10
METRICS: Final = ("accuracy", "macro_precision", "macro_recall", "macro_f1")
MAJORITY_CLASS: Final = "majority-class"
GROUP_FOLDS: Final = 5

SEEDS: Final = (2023, 1, 2, 3, 4)
"""Seeds of k-means, the authors' first; scores are means over all."""

LARGEST: Final = 5_000
"""Largest number of cells whose structure is scored: all pairwise distances are computed."""

N_RESAMPLES: Final = 100


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
    units: Labels

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
    train, test = train_test_split(np.arange(len(cells)), test_size=0.2, random_state=seed)
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


def annotate(vectors: Cells, labels: Sequence[str], train: Indices, test: Indices) -> Labels:
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
    types: Labels = names[predicted]
    return types


def majority(labels: Sequence[str], train: Indices, test: Indices) -> Labels:
    """The most frequent training type, for every test cell."""
    names, counts = np.unique(np.asarray(labels, np.str_)[train], return_counts=True)
    return np.full(len(test), names[counts.argmax()])


def centred(vectors: Cells, train: Indices) -> Cells:
    """Vectors less the mean of the training cells.

    Pooled vectors are nearly parallel (their cosines exceed .99), because all cells share the
    genes that every cell expresses; the differences between cells are what remains.
    """
    shifted: Cells = vectors - vectors[train].mean(axis=0, dtype=np.float64)
    return shifted.astype(np.float32)


def unit_rows(vectors: Cells) -> Cells:
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
    unit: Cells = rows / lengths
    return unit


def _complete_labels(labels: Sequence[str], n_cells: int) -> Labels:
    if len(labels) != n_cells:
        raise ValueError(f"{n_cells} cells but {len(labels)} labels")
    if missing := [row for row, label in enumerate(labels) if not label]:
        raise ValueError(f"{len(missing)} cells have no label, the first in row {missing[0]}")
    return np.asarray(labels, dtype=np.str_)


def nearest(similarity: Cells) -> Indices:
    """Columns of the ten largest similarities of each row; ties in the order of columns."""
    tenth = -np.partition(-similarity, N_NEIGHBOURS - 1, axis=1)[:, N_NEIGHBOURS - 1, None]
    above, level = similarity > tenth, similarity == tenth
    free = N_NEIGHBOURS - above.sum(axis=1, keepdims=True)
    chosen = above | (level & (np.cumsum(level, axis=1) <= free))
    return np.nonzero(chosen)[1].reshape(len(similarity), N_NEIGHBOURS)


def _vote(labels: Indices, similarity: Cells, n_labels: int) -> Indices:
    cells = np.arange(len(labels))[:, None] * n_labels + labels
    size = len(labels) * n_labels
    votes = np.bincount(cells.ravel(), minlength=size).reshape(-1, n_labels)
    sums = np.bincount(cells.ravel(), similarity.ravel().astype(np.float64), size)
    leading = votes == votes.max(axis=1, keepdims=True)
    choice: Indices = np.where(leading, sums.reshape(-1, n_labels), -np.inf).argmax(axis=1)
    return choice


def drawn(n_cells: int) -> Indices:
    """The cells that take part: all, or of a large collection some at random."""
    if n_cells <= LARGEST:
        return np.arange(n_cells)
    chosen: Indices = np.random.default_rng(0).permutation(n_cells)[:LARGEST]
    return np.sort(chosen)


def clustering_scores(vectors: Cells, types: Labels) -> dict[str, Score]:
    """Agreement of k-means with the types: adjusted Rand index, adjusted mutual information.

    Parameters
    ----------
    vectors
        One row per cell, shape (n, d).
    types
        Shape (n,); there are as many clusters as types.
    """
    unit = unit_rows(vectors)
    names, codes = np.unique(types, return_inverse=True)
    n_types = len(names)
    with threadpool_limits(1):
        clusters = [
            MiniBatchKMeans(n_types, random_state=seed, n_init=1).fit_predict(unit)
            for seed in SEEDS
        ]

    def counted(labels: Indices, rows: Indices | slice = slice(None)) -> Floats:
        pairs = codes[rows] * n_types + labels[rows]
        return np.bincount(pairs, minlength=n_types**2).reshape(n_types, -1).astype(np.float64)

    def score(agreement: Callable[[Floats], float]) -> Score:
        starts = cycle(clusters)  # a start for each resample: the interval is over both
        interval = bootstrap_interval(
            lambda rows: agreement(counted(next(starts), rows)),
            np.arange(len(types)), n_resamples=N_RESAMPLES, seed=0,
        )  # fmt: skip
        value = float(np.mean([agreement(counted(labels)) for labels in clusters]))
        return Score(value, *interval, len(types))

    return {"ari": score(adjusted_rand), "ami": score(adjusted_mutual_information)}


def adjusted_rand(counts: Floats) -> float:
    """Adjusted Rand index (Hubert & Arabie 1985); scikit-learn takes labels and far longer."""
    tables = (counts, counts.sum(axis=1), counts.sum(axis=0), counts.sum())
    pairs, of_types, of_clusters, every = (float(np.sum(n * (n - 1))) / 2 for n in tables)
    expected, most = of_types * of_clusters / every, (of_types + of_clusters) / 2
    return 1.0 if most == expected else (pairs - expected) / (most - expected)


def adjusted_mutual_information(counts: Floats) -> float:
    """Adjusted mutual information (Vinh et al. 2010), arithmetic mean, of a contingency table."""
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    if (counts > 0).sum() == max(counts.shape) == min(counts.shape):  # the same, by other names
        return 1.0
    shares = (counts.sum(axis=1), counts.sum(axis=0), counts[counts > 0])
    n = counts.sum()
    of_types, of_clusters, of_pairs = (-float(np.sum(c / n * np.log(c / n))) for c in shares)
    expected = expected_mutual_information(csr_matrix(counts, dtype=np.int64), int(n))
    most = max((of_types + of_clusters) / 2, expected + np.finfo(np.float64).eps)
    return float((of_types + of_clusters - of_pairs - expected) / (most - expected))


def mixing_scores(
    vectors: Cells, types: Labels, batches: Labels | None, groups: Sequence[str]
) -> dict[str, Score]:
    """Separation of types, and mixing of the batches of each type.

    Parameters
    ----------
    batches
        Batch of each cell; None where there is one batch only: types alone are scored.
    groups
        Unit of resampling of each cell.

    Returns
    -------
    dict of Score
        ``silhouette_type``
            (1 + silhouette by type) / 2; 1: apart.
        ``knn_type_purity``
            Share of a cell's neighbours of its own type; 1: pure.
        ``silhouette_batch``
            1 - |silhouette by batch within the type|; 1: mixed.
        ``knn_batch_mixing``
            Neighbours of other batches, as a share of what chance gives within the type; 1: mixed.
    """
    unit = unit_rows(vectors)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    neighbours = nearest(similarity)
    per_cell = {
        "silhouette_type": (1 + silhouette_samples(unit, types)) / 2,
        "knn_type_purity": (types[neighbours] == types[:, None]).mean(axis=1),
    }
    if batches is not None:
        mixed, neighbourly = _mixed(unit, similarity, types, batches)
        per_cell |= {"silhouette_batch": mixed, "knn_batch_mixing": neighbourly}
    names, scores = np.asarray(groups), {}
    for metric, values in per_cell.items():
        seen = np.isfinite(values)
        scores[metric] = mean_score(values[seen], names[seen], n_resamples=N_RESAMPLES, seed=0)
    return scores


def _mixed(unit: Cells, similarity: Cells, types: Labels, batches: Labels) -> tuple[Floats, Floats]:
    """Per cell: 1 - |silhouette| by batch, and mixing of neighbours; NaN where a type has one."""
    silhouette, mixing = np.full(len(unit), np.nan), np.full(len(unit), np.nan)
    for cell_type in np.unique(types):
        rows = np.flatnonzero(types == cell_type)
        of_type = batches[rows]
        _, codes, counts = np.unique(of_type, return_inverse=True, return_counts=True)
        if len(rows) <= N_NEIGHBOURS or not 1 < len(counts) < len(rows):
            continue
        silhouette[rows] = 1 - np.abs(silhouette_samples(unit[rows], of_type))
        around = nearest(similarity[np.ix_(rows, rows)])
        others = (codes[around] != codes[:, None]).mean(axis=1)
        expected = (len(rows) - counts[codes]) / (len(rows) - 1)
        mixing[rows] = others / expected
    return silhouette, mixing
