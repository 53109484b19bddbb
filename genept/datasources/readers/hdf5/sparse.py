"""The three arrays of a compressed sparse matrix: opened, checked, read by ranges of values.

Everything that a reader of rows relies on is refused here if it is not so. Reading rows is in
`rows`; matrices that are stored by genes (CSC) are turned over here, on disk.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import h5py
import numpy as np
from isal import igzip_lib
from numpy.typing import NDArray

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
from genept.datasources.readers.spool import RECORD, Buckets, Spool, write_panel
from genept.datasources.readers.values import refuse_rounded

OFFSETS: Final = 65_536
"""Offsets of rows that are read at once."""
BLOCK_VALUES: Final = 2 * MEBIBYTE
"""Values a block of what is read densely: some 50 MiB while it is being read."""
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


def rows_of_columns(
    path: Path, group: str, shape: tuple[int, int], *, folder: Path, chunk: int = 0
) -> Spool:
    """Turn over a CSC matrix of `shape`, observations × genes, into rows in a scratch folder.

    The scratch folder is made in `folder`, and removed with the returned object. anndata's
    `sparse_dataset` reads all values for each range of rows: a thousand rows of 12 million values
    take 0.6 s, when to turn over and read all 20,000 of them takes 3 s.
    """
    with open_hdf5(path, chunk=chunk) as file:
        parts = sparse_parts(as_group(at_path(file, group)))
        needed, free = parts.data.size * RECORD.itemsize, shutil.disk_usage(folder).free
        if needed > free:
            raise SourceError(
                f"{path.name} is stored by genes (CSC); turning it over takes {needed:,} bytes in "
                f"{folder}, and {free:,} are free. Free disk space, or write it anew as csr_matrix"
            )
        try:
            own = Path(tempfile.mkdtemp(prefix=".rows-", dir=folder))
            rows = Spool(own, shape, (shape[1],))
            weakref.finalize(rows, _remove, own, os.getpid())
            buckets = Buckets(own, shape, parts.data.size)
            _deal(parts, shape[0], buckets)
            write_panel(own, 0, buckets.blocks(parts.where))
        except OSError as error:
            raise SourceError(
                f"{path.name} is stored by genes (CSC) and cannot be turned over in {folder}: "
                f"{error}. Free disk space, or write it anew as csr_matrix"
            ) from error
    return rows


def _deal(parts: SparseParts, n_rows: int, buckets: Buckets) -> None:
    ends = parts.indptr[...].astype(np.int64)
    for low in range(0, parts.data.size, BLOCK_VALUES):
        # The value before is looked at again: a column may go over two windows.
        high, before = min(low + BLOCK_VALUES, parts.data.size), max(low - 1, 0)
        indices = parts.indices[before:high]
        refuse_out_of_range(indices, n_rows, parts.where)
        refuse_disorder(indices, ends - before, 0, parts.where)
        columns = np.searchsorted(ends, np.arange(low, high), side="right") - 1
        values = as_float32(parts.data[low:high], parts.where)
        buckets.add_distinct(indices[low - before :].astype(np.int64), columns, values)


def _remove(folder: Path, owner: int) -> None:
    # A forked process inherits the finalizer, but the folder is its parent's.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
