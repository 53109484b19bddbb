"""Sums of a screen's expression by perturbation, in bounded memory.

Expression is read in blocks of rows, once for every so many perturbations as the memory allows.
What is made of the sums is `genept.perturbations.effect_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from genept.benchmarks import Floats
from genept.datasources import ScreenExpression
from genept.datasources.readers import checked_blocks

PER_CELL: Final = 1e4
"""Counts that each cell is scaled to before log(1 + x)."""

MOST_VALUES: Final = 1 << 22
"""Perturbations × genes whose sums are held in memory together: ten arrays of 32 MiB."""

_ROWS: Final = 512
"""Rows that are worked on together."""


def blocks(screen: ScreenExpression) -> Iterator[tuple[slice, csr_matrix]]:
    """Rows and their values, block by block; counts are checked on their way."""
    published = (
        checked_blocks(screen.expression, screen.ids, "counts", 0, screen.measured)
        if screen.style == "single_cell"
        else screen.expression.blocks()
    )
    begin = 0
    for block in published:
        for first in range(0, block.shape[0], _ROWS):
            piece = block[first : first + _ROWS]
            yield slice(begin, begin + piece.shape[0]), piece
            begin += piece.shape[0]


def group_sums(
    screen: ScreenExpression,
    groups: NDArray[np.int64],
    change: Callable[[csr_matrix, slice], csr_matrix],
) -> tuple[Floats, Floats]:
    """Sums and sums of squares of the groups' rows, after a change; shape (n_groups, n_genes)."""
    shape = len(groups), len(screen.measured)
    place = np.full(len(screen.perturbed), -1)
    place[groups] = np.arange(len(groups))
    at = np.where(screen.group >= 0, place[screen.group], -1)
    total, squares = np.zeros(shape), np.zeros(shape)
    for rows, block in blocks(screen):
        own = np.flatnonzero(at[rows] >= 0)
        if not len(own):
            continue
        values = change(block, rows)[own].astype(np.float64)
        counted = np.ones(len(own)), (at[rows][own], np.arange(len(own)))
        chosen = csr_matrix(counted, shape=(shape[0], len(own)))
        hit = np.unique(at[rows][own])
        total[hit] += (chosen[hit] @ values).toarray()
        squares[hit] += (chosen[hit] @ values.power(2)).toarray()
    return total, squares


def log_scaled(block: csr_matrix, totals: Floats) -> csr_matrix:
    """Counts of cells, scaled to `PER_CELL` and as log(1 + x); an empty cell stays empty."""
    factor = PER_CELL / np.where(totals > 0, totals, 1)
    scaled = block.astype(np.float64)
    scaled.data = np.log1p(scaled.data * np.repeat(factor, np.diff(block.indptr)))
    return scaled


def group_chunks(
    groups: NDArray[np.int64], n_genes: int, most_values: int
) -> Iterator[NDArray[np.int64]]:
    """Numbers of perturbations that are worked on together."""
    step = max(most_values // max(n_genes, 1), 1)
    for begin in range(0, len(groups), step):
        yield groups[begin : begin + step]


def variance_of(total: Floats, squares: Floats, n: Floats | int) -> Floats:
    """Variance of `n` values from their sum and their sum of squares."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.maximum(squares - total**2 / n, 0) / np.maximum(n - 1, 1))
