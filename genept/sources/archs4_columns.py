"""Chosen columns of a genes × samples array, as rows: ARCHS4's way of keeping expression.

Which samples are chosen is decided in `archs4`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack

from genept.sources.hdf5 import as_dataset, at_path, open_hdf5
from genept.sources.hdf5_rows import BLOCK_VALUES, compressed
from genept.sources.hdf5_sparse import as_float32

if TYPE_CHECKING:
    import h5py

EXPRESSION: Final = "data/expression"


@dataclass(frozen=True, eq=False)
class SampleColumns:
    """Chosen columns of genes × samples, as rows.

    Parameters
    ----------
    chosen
        Positions of the samples in the file, ascending.
    """

    path: Path
    chosen: NDArray[np.int64]
    n_genes: int

    @property
    def shape(self) -> tuple[int, int]:
        """Chosen samples × input genes."""
        return self.chosen.size, self.n_genes

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[csr_matrix]:
        """Samples `start` to `stop`, as many at a time as are `BLOCK_VALUES` when dense.

        A chunk is unpacked once, unless it is wider than a block.

        Raises
        ------
        SourceError
            A count does not fit float32.
        """
        stop = self.shape[0] if stop is None else min(stop, self.shape[0])
        step = max(1, 4 * BLOCK_VALUES // max(self.n_genes, 1))
        with open_hdf5(self.path) as file:
            dataset = as_dataset(at_path(file, EXPRESSION))
            width, first = (dataset.chunks or (1, 1))[1], start
            while first < stop:
                last = min(first + step, stop)
                if last < stop:
                    # Samples of one column of chunks stay together, if they fit.
                    column = self.chosen[last] // width * width
                    whole = int(np.searchsorted(self.chosen, column))
                    last = whole if whole > first else last
                yield self._block(dataset, self.chosen[first:last])
                first = last

    def _block(self, dataset: h5py.Dataset, samples: NDArray[np.int64]) -> csr_matrix:
        rows, columns = dataset.chunks or (1, 1)
        spans = _spans(samples, columns)
        widest = max(int(span[-1] - span[0]) + 1 for span in spans)
        step = max(1, 4 * BLOCK_VALUES // (rows * widest)) * rows
        slabs = []
        for gene in range(0, self.n_genes, step):
            genes = slice(gene, min(gene + step, self.n_genes))
            parts = [
                dataset[genes, int(span[0]) : int(span[-1]) + 1][:, span - span[0]]
                for span in spans
            ]
            values = as_float32(np.concatenate(parts, axis=1), f"{self.path.name}: {EXPRESSION}")
            slabs.append(compressed(np.ascontiguousarray(values.T)))
        block = slabs[0] if len(slabs) == 1 else csr_matrix(hstack(slabs, format="csr"))
        block.sort_indices()
        return block


def _spans(samples: NDArray[np.int64], width: int) -> list[NDArray[np.int64]]:
    """Samples split where whole columns of chunks without any of them lie between."""
    apart = np.flatnonzero(np.diff(samples // width) > 1) + 1
    return np.split(samples, apart)
