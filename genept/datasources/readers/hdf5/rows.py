"""Expression in HDF5 files by ranges of rows, sparse and dense.

Files that break an assumption of these readers are refused here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import h5py
import numpy as np
from isal import igzip_lib
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from genept.common import SourceError, get_again
from genept.datasources.readers.hdf5.file import (
    MEBIBYTE,
    as_dataset,
    as_group,
    at_path,
    child,
    chunk_bytes,
    file_name,
    open_hdf5,
)
from genept.datasources.readers.values import refuse_rounded

OFFSETS: Final = 65_536
"""Offsets of rows that are read at once."""
BLOCK_VALUES: Final = 2 * MEBIBYTE
"""Values a block of what is read densely: some 50 MiB while it is being read."""
RUN_VALUES: Final = 16 * MEBIBYTE
"""Values a block of sparse rows, 128 MiB: a shard of single cells, so that it is copied nowhere."""
DENSE_CAP: Final = 512 * MEBIBYTE
"""The least rows of a dense matrix that its chunks allow to read must fit in this."""
_DAMAGED: Final = cast(type[Exception], igzip_lib.error)


@dataclass(frozen=True)
class SparseParts:
    """The three arrays of a compressed sparse matrix, not read yet; `where` is for messages."""

    data: h5py.Dataset
    indices: h5py.Dataset
    indptr: h5py.Dataset
    where: str

    @property
    def chunk(self) -> int:
        """Bytes of the largest chunk of the three."""
        return max(chunk_bytes(part) for part in (self.data, self.indices, self.indptr))

    def refuse_offsets(self, n_major: int, n_minor: int) -> None:
        """Read the offsets once and refuse those that cannot be of `n_major` rows (or columns).

        There are `n_major` + 1 of them, from 0 up to the number of values, each step at least 0
        and at most `n_minor`.
        """
        n_values, indptr, where = self.data.size, self.indptr, f"{self.where}/indptr"
        if indptr.size != n_major + 1:
            raise SourceError(f"{where} has {indptr.size:,} offsets, expected {n_major + 1:,}")
        if indptr[0] != 0 or indptr[-1] != n_values:
            raise SourceError(
                f"{where} goes from {indptr[0]} to {indptr[-1]}, expected 0 to {n_values}"
            )
        for first in range(0, n_major, OFFSETS):
            steps = np.diff(indptr[first : first + OFFSETS + 1].astype(np.int64))
            wrong = np.flatnonzero((steps < 0) | (steps > n_minor))
            if wrong.size:
                raise SourceError(
                    f"{where} gives {steps[wrong[0]]} values to number {first + wrong[0]}; "
                    f"expected 0 to {n_minor}"
                )


def sparse_parts(group: h5py.Group) -> SparseParts:
    """Open the three arrays of a sparse matrix; their kinds and lengths must fit."""
    where = f"{file_name(group)}: {group.name.lstrip('/')}"
    opened = {}
    for name, kinds in (("data", "biuf"), ("indices", "iu"), ("indptr", "iu")):
        part = opened[name] = as_dataset(child(group, name))
        if part.ndim != 1 or part.dtype.kind not in kinds:
            raise SourceError(f"{where}/{name} is {part.dtype} of shape {part.shape}, not numbers")
    parts = SparseParts(**opened, where=where)
    if parts.data.shape != parts.indices.shape:
        raise SourceError(
            f"{where} has {parts.data.size:,} values and {parts.indices.size:,} indices; expected "
            "as many of one as of the other"
        )
    return parts


def refuse_disorder(indices: NDArray[Any], indptr: NDArray[Any], first: int, where: str) -> None:
    """Refuse rows (or columns) whose indices do not rise.

    `indptr` says where rows begin, also outside of `indices` if those are a part of them; `first`
    is the number of the first row.
    """
    falls = np.flatnonzero(indices[1:] <= indices[:-1]) + 1
    inside = np.setdiff1d(falls, indptr)
    if inside.size:
        row = first + int(np.searchsorted(indptr, inside[0], side="right")) - 1
        raise SourceError(
            f"{where}: the indices of number {row} are unsorted or repeated; in anndata, call "
            "`adata.X.sum_duplicates()` (it sorts them, too) and write the file anew"
        )


def refuse_out_of_range(indices: NDArray[Any], n_minor: int, where: str) -> None:
    """Refuse indices below 0 or from `n_minor` on."""
    if indices.size and (indices.min() < 0 or indices.max() >= n_minor):
        odd = indices[(indices < 0) | (indices >= n_minor)][0]
        raise SourceError(
            f"{where} holds the index {odd}, but only 0 to {n_minor - 1} exist; the file is "
            f"damaged: {get_again('fetch it again or ask its publisher')}"
        )


def as_float32(values: NDArray[Any], where: str) -> NDArray[np.float32]:
    """Numbers as float32; whole numbers that it would round are refused, not rounded."""
    if values.dtype == np.float32:
        return values
    if values.dtype.itemsize > (2 if values.dtype.kind in "iu" else 4):
        refuse_rounded(values, lambda *_: where)
    return values.astype(np.float32)


def read_range(dataset: h5py.Dataset, start: int, stop: int) -> NDArray[Any]:
    """``dataset[start:stop]`` of a one-dimensional array; a damaged chunk is named.

    Plain gzip is unpacked by ISA-L: 12 million values take 0.27 s instead of the 0.44 s of HDF5's
    own filter.
    """
    if start >= stop or not _is_plain_gzip(dataset):
        return np.asarray(dataset[start:stop])
    (size,) = dataset.chunks
    values = np.empty(stop - start, dtype=dataset.dtype)
    for first in range(start - start % size, stop, size):
        low, high = max(first, start), min(first + size, stop)
        # Not `get_chunk_info_by_coord`: that goes through all chunks before the wanted one.
        try:
            is_stored_raw, packed = dataset.id.read_direct_chunk((first,))
        except RuntimeError:  # never written; if it is anything else, h5py says so
            is_stored_raw, packed = True, b""
        if is_stored_raw:
            values[low - start : high - start] = dataset[low:high]
        else:
            chunk = _unpacked(bytes(packed), dataset, first)
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


def _unpacked(packed: bytes, dataset: h5py.Dataset, first: int) -> NDArray[Any]:
    expected = chunk_bytes(dataset)
    reader = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_ZLIB)
    try:
        values = reader.decompress(packed, expected + 1)
    except _DAMAGED:
        values = b""
    if len(values) != expected or not reader.eof:
        raise SourceError(
            f"{file_name(dataset)}: {dataset.name}: the chunk that begins at value {first:,} is "
            "damaged; fetch the file again"
        )
    return np.frombuffer(values, dtype=dataset.dtype)


@dataclass(frozen=True)
class SparseRows:
    """CSR in an HDF5 group: `data`, `indices`, `indptr`.

    anndata's `sparse_dataset` reads the same rows in 2.7 times the time (0.87 s for 12 million
    values, here 0.33 s), and hands out indices that nothing has checked.

    Parameters
    ----------
    sort
        Whether rows are sorted here (a 10x file may hold them backwards) or must be.
    chunk
        Bytes of the largest chunk, which is kept while the rows that share it are read.
    """

    path: Path
    group: str
    shape: tuple[int, int]
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
        with open_hdf5(self.path, chunk=self.chunk) as file:
            parts = sparse_parts(as_group(at_path(file, self.group)))
            for first in range(start, stop, OFFSETS):
                last = min(first + OFFSETS, stop)
                offsets = parts.indptr[first : last + 1].astype(np.int64)
                for begin, end in _runs(offsets):
                    yield self._block(parts, offsets[begin : end + 1], first + begin)

    def _block(self, parts: SparseParts, offsets: NDArray[np.int64], row: int) -> csr_matrix:
        low, high = offsets[0], offsets[-1]
        indices = read_range(parts.indices, low, high)
        refuse_out_of_range(indices, self.shape[1], parts.where)
        data = as_float32(read_range(parts.data, low, high), parts.where)
        # 32-bit indices halve what is sent to another process, and are what scipy prefers.
        arrays = (data, indices.astype(np.int32, copy=False), (offsets - low).astype(np.int32))
        block = csr_matrix(arrays, shape=(offsets.size - 1, self.shape[1]))
        if self.sort:
            block.has_sorted_indices = False
            block.sort_indices()
        refuse_disorder(block.indices, block.indptr, row, parts.where)
        block.has_sorted_indices = block.has_canonical_format = True
        return block


@dataclass(frozen=True)
class DenseRows:
    """A dense observations × genes array; zeros are left out block by block."""

    path: Path
    dataset: str
    shape: tuple[int, int]

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[csr_matrix]:
        """Rows `start` to `stop` in steps of whole chunks; numbers must fit float32."""
        stop = self.shape[0] if stop is None else min(stop, self.shape[0])
        with open_hdf5(self.path) as file:
            dataset = as_dataset(at_path(file, self.dataset))
            step = dense_step(dataset)
            while start < stop:
                last = min(start - start % step + step, stop)
                yield compressed(
                    as_float32(dataset[start:last], f"{self.path.name}: {self.dataset}")
                )
                start = last


def compressed(values: NDArray[np.float32]) -> csr_matrix:
    """A dense block without its zeros, in a third to four fifths of `csr_matrix`'s time."""
    filled = values != 0
    columns = np.broadcast_to(np.arange(values.shape[1], dtype=np.int32), values.shape)
    indptr = np.concatenate(([0], np.cumsum(np.count_nonzero(filled, axis=1)))).astype(np.int32)
    block = csr_matrix((values[filled], columns[filled], indptr), shape=values.shape)
    block.has_sorted_indices = block.has_canonical_format = True
    return block


def dense_step(dataset: h5py.Dataset) -> int:
    """Rows to read at once: whole chunks of some `BLOCK_VALUES`, within `DENSE_CAP`.

    An array that is chunked by columns, so that this cannot be, is refused.
    """
    n_columns = max(dataset.shape[1], 1)
    chunk = min(dataset.chunks[0], dataset.shape[0]) if dataset.chunks else 1
    chunk = max(chunk, 1)
    if chunk * n_columns * dataset.dtype.itemsize > DENSE_CAP:
        raise SourceError(
            f"{file_name(dataset)}: {dataset.name} is dense, in chunks of "
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
