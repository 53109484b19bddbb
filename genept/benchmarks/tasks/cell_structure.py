"""Structure of a space of cells without a classifier: clusters, separated types, mixed batches.

Clustering agreement is that of GenePT (k-means, as many clusters as types); the others are in
the manner of scIB (Luecken et al. 2022). Annotation by neighbours is in `cell_types`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, silhouette_samples
from threadpoolctl import threadpool_limits

from genept.benchmarks.metrics import Floats, Indices, Score, bootstrap_interval
from genept.benchmarks.tasks.cell_types import N_NEIGHBOURS, nearest, unit_rows

Cells = NDArray[np.float32]
Labels = NDArray[np.str_]

SEEDS: Final = (2023, 1, 2, 3, 4)
"""Of k-means, the authors' first; scores are means over all."""

LARGEST: Final = 5_000
"""Largest number of cells: all pairwise distances are computed."""

N_RESAMPLES: Final = 100
CLUSTERING: Final = {"ari": adjusted_rand_score, "ami": adjusted_mutual_info_score}
MIXING: Final = ("silhouette_type", "knn_type_purity", "silhouette_batch", "knn_batch_mixing")


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
    n_types = len(np.unique(types))
    with threadpool_limits(1):
        clusters = [
            MiniBatchKMeans(n_types, random_state=seed, n_init=1).fit_predict(unit)
            for seed in SEEDS
        ]

    def score(agreement: Callable[[Labels, Indices], float]) -> Score:
        starts = cycle(clusters)  # a start for each resample: the interval is over both
        interval = bootstrap_interval(
            lambda rows: agreement(types[rows], next(starts)[rows]),
            np.arange(len(types)), n_resamples=N_RESAMPLES, seed=0,
        )  # fmt: skip
        value = float(np.mean([agreement(types, labels) for labels in clusters]))
        return Score(value, *interval, len(types))

    return {metric: score(agreement) for metric, agreement in CLUSTERING.items()}


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
    names = np.asarray(groups)
    return {metric: _mean(values, names) for metric, values in per_cell.items()}


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


def _mean(values: Floats, groups: NDArray[np.str_]) -> Score:
    seen = np.isfinite(values)
    values, groups = values[seen], groups[seen]
    interval = bootstrap_interval(
        lambda rows: float(values[rows].mean()), groups, n_resamples=N_RESAMPLES, seed=0
    )
    return Score(float(values.mean()), *interval, len(values))
