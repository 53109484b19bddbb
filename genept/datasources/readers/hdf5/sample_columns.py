"""Columns of a genes × samples array as rows, some of them at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack

from genept.datasources.download import RangedCopy
from genept.datasources.readers.hdf5.file import as_dataset, at_path, open_hdf5
from genept.datasources.readers.hdf5.rows import BLOCK_VALUES, as_float32, compressed

EXPRESSION: Final = "data/expression"


def chunks_of(dataset: h5py.Dataset, chosen: NDArray[np.int64]) -> Sequence[tuple[int, ...]]:
    """The chunks of a genes × samples array that hold chosen samples, by their first element.

    Parameters
    ----------
    dataset
        The array; one that is stored in one piece has none.
    chosen
        Positions of samples, ascending.

    Returns
    -------
    sequence of tuple of int
        Those of a sample after each other.
    """
    if dataset.chunks is None:
        return ()
    rows, columns = dataset.chunks
    firsts = np.unique(chosen // columns) * columns
    return [(gene, int(first)) for first in firsts for gene in range(0, dataset.shape[0], rows)]


@dataclass(frozen=True, eq=False)
class SampleColumns:
    """Columns of the genes × samples array `EXPRESSION`, as rows: ascending positions `chosen`."""

    path: Path | RangedCopy
    chosen: NDArray[np.int64]
    n_genes: int

    @property
    def shape(self) -> tuple[int, int]:
        """Chosen samples × input genes."""
        return self.chosen.size, self.n_genes

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[csr_matrix]:
        """Samples `start` to `stop`, as many at a time as are `BLOCK_VALUES` when dense.

        A chunk is unpacked once, unless it is wider than a block. Counts must fit float32.
        """
        stop = self.shape[0] if stop is None else min(stop, self.shape[0])
        step = max(1, 4 * BLOCK_VALUES // max(self.n_genes, 1))
        with open_hdf5(self.path) as file:
            dataset = as_dataset(at_path(file, EXPRESSION), counted=isinstance(self.path, Path))
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
        # Split where whole columns of chunks without any of them lie between.
        runs = np.split(samples, np.flatnonzero(np.diff(samples // columns) > 1) + 1)
        widest = max(int(run[-1] - run[0]) + 1 for run in runs)
        step = max(1, 4 * BLOCK_VALUES // (rows * widest)) * rows
        slabs = []
        for gene in range(0, self.n_genes, step):
            genes = slice(gene, min(gene + step, self.n_genes))
            parts = [
                dataset[genes, int(run[0]) : int(run[-1]) + 1][:, run - run[0]] for run in runs
            ]
            values = as_float32(np.concatenate(parts, axis=1), f"{self.path.name}: {EXPRESSION}")
            slabs.append(compressed(np.ascontiguousarray(values.T)))
        block = slabs[0] if len(slabs) == 1 else csr_matrix(hstack(slabs, format="csr"))
        block.sort_indices()
        return block
