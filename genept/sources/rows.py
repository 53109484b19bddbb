"""Some rows or genes of published expression; what to leave out is decided by who asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class SelectedGenes:
    """The columns `kept` of `whole`, in their published order; `kept` rises."""

    whole: ExpressionRows
    kept: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int]:
        """Observations × input genes."""
        return self.whole.shape[0], len(self.kept)

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[csr_matrix]:
        """Rows `start` to `stop` of those genes."""
        for block in self.whole.blocks(start, stop):
            yield block[:, self.kept]


def selected_genes(whole: ExpressionRows, kept: Sequence[int]) -> ExpressionRows:
    """The genes `kept` of `whole`; `whole` itself where that is all."""
    genes = np.array(kept, np.int64)
    return whole if len(genes) == whole.shape[1] else SelectedGenes(whole, genes)
