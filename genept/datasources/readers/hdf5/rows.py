"""Expression in HDF5 files by ranges of rows: sparse either way up, and dense.

Ranges of a gzipped array are unpacked by ISA-L, in half the time of HDF5's own filter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import numpy.typing as npt
from isal import igzip_lib
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from genept.common import SourceError
from genept.datasources.readers.hdf5.file import MEBIBYTE, as_dataset, as_group, at_path, open_hdf5
from genept.datasources.readers.hdf5.sparse import (
    OFFSETS,
    SparseParts,
    as_float32,
    refuse_indices,
    refuse_out_of_range,
    sparse_parts,
)

if TYPE_CHECKING:
    import h5py


_DAMAGED: Final = cast(type[Exception], igzip_lib.error)


def read_range(dataset: h5py.Dataset, start: int, stop: int) -> npt.NDArray[Any]:
    """``dataset[start:stop]`` of a one-dimensional array.

    Raises
    ------
    SourceError
        A chunk is damaged, or unpacks to more than a chunk holds.
    """
    if start >= stop or not _is_plain_gzip(dataset):
        return np.asarray(dataset[start:stop])
    (size,) = dataset.chunks
    values = np.empty(stop - start, dtype=dataset.dtype)
    for first in range(start - start % size, stop, size):
        packed = _packed(dataset, first)
        low, high = max(first, start), min(first + size, stop)
        if packed is None:  # never written, or stored as it is
            values[low - start : high - start] = dataset[low:high]
        else:
            chunk = _unpacked(packed, dataset, first)
            values[low - start : high - start] = chunk[low - first : high - first]
    return values


def _is_plain_gzip(dataset: h5py.Dataset) -> bool:
    """Whether chunks hold nothing but deflated values of this machine's byte order."""
    return bool(
        dataset.ndim == 1
        and dataset.compression == "gzip"
        and not (dataset.shuffle or dataset.fletcher32 or dataset.scaleoffset)
        and dataset.dtype.isnative
        and dataset.dtype.kind in "iuf"
        and dataset.id.get_storage_size()  # of an array never written HDF5 makes up chunk sizes
    )


def _packed(dataset: h5py.Dataset, first: int) -> bytes | None:
    # Not `get_chunk_info_by_coord`: that goes through all chunks before the one it is asked for.
    try:
        mask, packed = dataset.id.read_direct_chunk((first,))
    except RuntimeError:  # never written; if it is anything else, h5py says so
        return None
    return None if mask else bytes(packed)


def _unpacked(packed: bytes, dataset: h5py.Dataset, first: int) -> npt.NDArray[Any]:
    (size,) = dataset.chunks
    expected = size * dataset.dtype.itemsize
    reader = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_ZLIB)
    try:
        values = reader.decompress(packed, expected + 1)
    except _DAMAGED as error:
        raise _damaged(dataset, first) from error
    if len(values) != expected or not reader.eof:
        raise _damaged(dataset, first)
    return np.frombuffer(values, dtype=dataset.dtype)


def _damaged(dataset: h5py.Dataset, first: int) -> SourceError:
    return SourceError(
        f"{Path(dataset.file.filename).name}: {dataset.name}: the chunk that begins at value "
        f"{first:,} is damaged; fetch the file again"
    )


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
                for begin, end in _runs(offsets):
                    block = self._block(parts, offsets[begin : end + 1], first + begin)
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
    positions = target[block.indices]
    kept = positions >= 0
    indptr = np.concatenate(([0], np.cumsum(kept)))[block.indptr].astype(np.int32)
    shape = (block.shape[0], n_columns)
    chosen = csr_matrix((block.data[kept], positions[kept], indptr), shape=shape)
    chosen.has_sorted_indices = chosen.has_canonical_format = True
    return chosen
