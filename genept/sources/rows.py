"""Some of the rows of published expression, and rows that are the same.

What to leave out, and what follows from two observations being one, is decided
by who asks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from genept.sources.parsed import BLOCK_ROWS, ExpressionRows


@dataclass(frozen=True, eq=False)
class SelectedRows:
    """The rows `kept` of `whole`, in their published order; `kept` rises."""

    whole: ExpressionRows
    kept: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int]:
        """Observations × input genes."""
        return len(self.kept), self.whole.shape[1]

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[csr_matrix]:
        """Rows `start` to `stop` of those that were kept; long gaps are not read."""
        stop = self.shape[0] if stop is None else min(stop, self.shape[0])
        wanted = self.kept[start:stop]
        if not len(wanted):
            return
        for run in np.split(wanted, np.flatnonzero(np.diff(wanted) > BLOCK_ROWS) + 1):
            first = int(run[0])
            for block in self.whole.blocks(first, int(run[-1]) + 1):
                low, high = np.searchsorted(run, (first, first + block.shape[0]))
                if high - low == block.shape[0]:
                    yield block
                elif high > low:
                    yield block[run[low:high] - first]
                first += block.shape[0]


def selected(whole: ExpressionRows, keep: NDArray[np.bool_]) -> ExpressionRows:
    """Rows of `whole` where `keep`; `whole` itself where that is all."""
    return whole if keep.all() else SelectedRows(whole, np.flatnonzero(keep))


def exact_duplicates(expression: ExpressionRows) -> list[tuple[int, ...]]:
    """Return the groups of rows whose expression is the same to the last bit.

    One pass over the expression; 16 bytes are kept of each row. Rows that are
    entirely zero are not compared.
    """
    same: defaultdict[bytes, list[int]] = defaultdict(list)
    row = 0
    for block in expression.blocks():
        for first, last in zip(block.indptr[:-1], block.indptr[1:], strict=True):
            if last > first:
                digest = blake2b(block.indices[first:last].astype("<i4").tobytes(), digest_size=16)
                digest.update(block.data[first:last].astype("<f4").tobytes())
                same[digest.digest()].append(row)
            row += 1
    return [tuple(rows) for rows in same.values() if len(rows) > 1]
