"""Expression in HDF5 files by ranges of rows: sparse either way up, and dense.

Each class names a file and its datasets and opens it anew at each call, so it can be sent
to another process. Memory is set by the block. Which dataset is the expression, and what its
rows and columns are, is decided in `h5ad`, `tenx_h5` and `archs4`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from genept.sources.errors import SourceError
from genept.sources.hdf5 import MEBIBYTE, as_dataset, as_group, at_path, open_hdf5
from genept.sources.hdf5_gzip import read_range
from genept.sources.hdf5_sparse import (
    OFFSETS,
    SparseParts,
    as_float32,
    refuse_indices,
    refuse_out_of_range,
    sparse_parts,
)

if TYPE_CHECKING:
    import h5py

BLOCK_VALUES: Final = 2 * MEBIBYTE
"""Values a block of what is read densely: some 50 MiB while it is being read."""
RUN_VALUES: Final = 16 * MEBIBYTE
"""Values a block of sparse rows, 128 MiB: a shard of single cells, so that it is copied nowhere."""
DENSE_CAP: Final = 512 * MEBIBYTE
"""The least rows of a dense matrix that its chunks allow to read must fit in this."""


@dataclass(frozen=True)
class SparseRows:
    """CSR in an HDF5 group: `data`, `indices`, `indptr`.

    Parameters
    ----------
    columns
        New position of each published column, ascending, -1 for what is left out; none: all.
    sort
        Whether rows are sorted here (a 10x file may hold them backwards) or must be.
    chunk
        Bytes of the largest chunk, which is kept while the rows that share it are read.
    """

    path: Path
    group: str
    shape: tuple[int, int]
    n_published: int
    columns: tuple[int, ...] | None = None
    sort: bool = False
    chunk: int = 0

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[csr_matrix]:
        """Rows `start` to `stop`, at most `RUN_VALUES` values at a time (and one row at least).

        Raises
        ------
        SourceError
            Indices are out of range, repeated or unsorted; a number does not fit float32.
        """
        stop = self.shape[0] if stop is None else min(stop, self.shape[0])
        target = None if self.columns is None else np.array(self.columns, dtype=np.int32)
        with open_hdf5(self.path, chunk=self.chunk) as file:
            parts = sparse_parts(as_group(at_path(file, self.group)))
            for first in range(start, stop, OFFSETS):
                last = min(first + OFFSETS, stop)
                offsets = parts.indptr[first : last + 1].astype(np.int64)
                for one, end in _runs(offsets):
                    block = self._block(parts, offsets[one : end + 1], first + one)
                    yield block if target is None else _chosen(block, target, self.shape[1])

    def _block(self, parts: SparseParts, offsets: NDArray[np.int64], row: int) -> csr_matrix:
        where = f"{self.path.name}: {self.group}"
        low, high = offsets[0], offsets[-1]
        indices = read_range(parts.indices, low, high)
        indptr = offsets - low
        if self.sort:
            refuse_out_of_range(indices, self.n_published, where)
        else:
            refuse_indices(indices, indptr, self.n_published, row, where)
        data = as_float32(read_range(parts.data, low, high), where)
        # 32-bit indices halve what is sent to another process, and are what scipy prefers.
        indices, indptr = indices.astype(np.int32, copy=False), indptr.astype(np.int32)
        if self.sort:
            block = csr_matrix((data, indices, indptr), shape=(indptr.size - 1, self.n_published))
            block.has_sorted_indices = False
            block.sort_indices()
            data, indices = block.data, block.indices
            refuse_indices(indices, indptr, self.n_published, row, where)
        block = csr_matrix((data, indices, indptr), shape=(indptr.size - 1, self.n_published))
        block.has_sorted_indices = block.has_canonical_format = True
        return block


@dataclass(frozen=True)
class DenseRows:
    """A dense observations × genes array; zeros are left out block by block."""

    path: Path
    dataset: str
    shape: tuple[int, int]
    columns: tuple[int, ...] | None = None

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[csr_matrix]:
        """Rows `start` to `stop` in steps of whole chunks.

        Raises
        ------
        SourceError
            A number does not fit float32.
        """
        stop = self.shape[0] if stop is None else min(stop, self.shape[0])
        keep = None if self.columns is None else np.flatnonzero(np.array(self.columns) >= 0)
        with open_hdf5(self.path) as file:
            dataset = as_dataset(at_path(file, self.dataset))
            step, where = dense_step(dataset), f"{self.path.name}: {self.dataset}"
            first = start
            while first < stop:
                last = min(first - first % step + step, stop)
                values = dataset[first:last]
                if keep is not None:
                    values = values[:, keep]
                yield compressed(as_float32(values, where))
                first = last


def compressed(values: NDArray[np.float32]) -> csr_matrix:
    """A dense block without its zeros."""
    filled = values != 0
    columns = np.broadcast_to(np.arange(values.shape[1], dtype=np.int32), values.shape)
    indptr = np.concatenate(([0], np.cumsum(np.count_nonzero(filled, axis=1)))).astype(np.int32)
    block = csr_matrix((values[filled], columns[filled], indptr), shape=values.shape)
    block.has_sorted_indices = block.has_canonical_format = True
    return block


def dense_step(dataset: h5py.Dataset) -> int:
    """Rows to read at once: whole chunks of some `BLOCK_VALUES`, within `DENSE_CAP`.

    Raises
    ------
    SourceError
        The array is chunked by columns, so that no range of rows can be read within the cap.
    """
    n_columns = max(dataset.shape[1], 1)
    chunk = min(dataset.chunks[0], dataset.shape[0]) if dataset.chunks else 1
    chunk = max(chunk, 1)
    if chunk * n_columns * dataset.dtype.itemsize > DENSE_CAP:
        raise SourceError(
            f"{Path(dataset.file.filename).name}: {dataset.name} is dense, in chunks of "
            f"{dataset.chunks}: reading its rows would take more than {DENSE_CAP:,} bytes. Write "
            "it anew as scipy.sparse.csr_matrix, or with chunks of few rows"
        )
    return max(1, BLOCK_VALUES // int(chunk * n_columns)) * int(chunk)


def _runs(offsets: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Consecutive rows with at most `RUN_VALUES` values together."""
    first, n_rows = 0, offsets.size - 1
    while first < n_rows:
        fit = int(np.searchsorted(offsets, offsets[first] + RUN_VALUES, side="right")) - 1
        last = min(max(fit, first + 1), n_rows)
        yield first, last
        first = last


def _chosen(block: csr_matrix, target: NDArray[np.int32], n_columns: int) -> csr_matrix:
    """The block with only the chosen columns, in their new positions."""
    moved = target[block.indices]
    kept = moved >= 0
    indptr = np.concatenate(([0], np.cumsum(kept)))[block.indptr].astype(np.int32)
    shape = (block.shape[0], n_columns)
    chosen = csr_matrix((block.data[kept], moved[kept], indptr), shape=shape)
    chosen.has_sorted_indices = chosen.has_canonical_format = True
    return chosen
