"""Expression that is stored by genes, as rows of observations, in bounded memory.

CSC matrices are turned over on disk; of dense genes × samples arrays chosen columns are read.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, hstack

from genept.common import SourceError
from genept.datasources.readers.hdf5.file import as_dataset, as_group, at_path, open_hdf5
from genept.datasources.readers.hdf5.rows import BLOCK_VALUES, compressed
from genept.datasources.readers.hdf5.sparse import (
    SparseParts,
    as_float32,
    refuse_indices,
    refuse_out_of_range,
    sparse_parts,
)

if TYPE_CHECKING:
    import h5py


_ENTRY: Final = np.dtype([("row", "<i4"), ("column", "<i4"), ("value", "<f4")])


@dataclass(frozen=True)
class TransposedRows:
    """Rows out of buckets of (row, column, value) in a scratch file.

    Parameters
    ----------
    first_rows
        First row of each bucket, and the number of rows after the last.
    first_entries
        First entry of each bucket in the scratch file, and their number after the last.
    """

    scratch: Path
    shape: tuple[int, int]
    first_rows: tuple[int, ...]
    first_entries: tuple[int, ...]
    columns: tuple[int, ...] | None = field(default=None, repr=False)

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[csr_matrix]:
        """Rows `start` to `stop`, a bucket at a time."""
        stop = self.shape[0] if stop is None else min(stop, self.shape[0])
        target = None if self.columns is None else np.array(self.columns, dtype=np.int32)
        with self.scratch.open("rb") as file:
            for bucket in range(len(self.first_rows) - 1):
                low, high = self.first_rows[bucket : bucket + 2]
                low, high = max(low, start), min(high, stop)
                if low >= high:
                    continue
                begin, end = self.first_entries[bucket : bucket + 2]
                file.seek(begin * _ENTRY.itemsize)
                entries = np.frombuffer(file.read((end - begin) * _ENTRY.itemsize), _ENTRY)
                entries = entries[(entries["row"] >= low) & (entries["row"] < high)]
                column = entries["column"] if target is None else target[entries["column"]]
                entries, column = entries[column >= 0], column[column >= 0]
                place = (entries["row"] - low, column)
                block = coo_matrix((entries["value"], place), shape=(high - low, self.shape[1]))
                yield csr_matrix(block.tocsr())


def turned_over(
    path: Path,
    group: str,
    shape: tuple[int, int],
    columns: tuple[int, ...] | None = None,
    *,
    folder: Path,
    chunk: int = 0,
) -> TransposedRows:
    """Deal the values of a CSC matrix of `shape` out to buckets of rows in a scratch file.

    Parameters
    ----------
    shape
        Observations × genes, as published.
    columns
        New position of each published column, ascending, -1 for what is left out; none: all.
    folder
        Where the scratch file is made; it takes 12 bytes per stored value.
    chunk
        Bytes of the largest chunk.

    Raises
    ------
    SourceError
        Indices are out of range, repeated or unsorted; a number does not fit float32; the disk
        is full.
    """
    with open_hdf5(path, chunk=chunk) as file:
        parts = sparse_parts(as_group(at_path(file, group)))
        _refuse_full_disk(path, folder, parts.data.size * _ENTRY.itemsize)
        counts = np.zeros(shape[0], dtype=np.int64)
        for low, high in _windows(parts.indices.size):
            window = parts.indices[low:high]
            refuse_out_of_range(window, shape[0], f"{path.name}: {group}")
            counts += np.bincount(window, minlength=shape[0])
        first_rows = _buckets(counts)
        ends = np.concatenate(([0], np.cumsum(counts)))
        first_entries = ends[np.array(first_rows)]
        kept = shape[1] if columns is None else sum(column >= 0 for column in columns)
        entries = tuple(int(at) for at in first_entries)
        try:
            own = Path(tempfile.mkdtemp(prefix=".rows-", dir=folder))
            rows = TransposedRows(own / "entries", (shape[0], kept), first_rows, entries, columns)
            weakref.finalize(rows, _remove, own, os.getpid())
            with rows.scratch.open("wb") as scratch:
                _deal(parts, np.array(first_rows), first_entries, scratch, f"{path.name}: {group}")
        except OSError as error:
            raise SourceError(
                f"{path.name} is stored by genes (CSC) and cannot be turned over in {folder}: "
                f"{error}. Free disk space, or write it anew as csr_matrix"
            ) from error
    return rows


def _deal(
    parts: SparseParts,
    first_rows: NDArray[np.int64],
    first_entries: NDArray[np.int64],
    scratch: BinaryIO,
    where: str,
) -> None:
    """Write every value to the next free place of its row's bucket."""
    free, n_rows = first_entries[:-1].copy(), int(first_rows[-1])
    ends = parts.indptr[...].astype(np.int64)
    before: tuple[int, int] | None = None
    for low, high in _windows(parts.indices.size):
        rows = parts.indices[low:high].astype(np.int32, copy=False)
        column = np.searchsorted(ends, np.arange(low, high), side="right") - 1
        refuse_indices(rows, ends - low, n_rows, 0, where)
        if before is not None and before[0] == column[0]:
            pair = np.array([before[1], rows[0]])
            refuse_indices(pair, np.array([0]), n_rows, int(column[0]), where)
        before = int(column[-1]), int(rows[-1])
        entries = np.empty(high - low, dtype=_ENTRY)
        entries["row"], entries["column"] = rows, column
        entries["value"] = as_float32(parts.data[low:high], where)
        bucket = np.searchsorted(first_rows, rows, side="right") - 1
        # Stable: within a bucket the columns go on ascending.
        entries = entries[np.argsort(bucket, kind="stable")]
        sizes = np.bincount(bucket, minlength=free.size)
        begin = 0
        for index in np.flatnonzero(sizes):
            scratch.seek(int(free[index]) * _ENTRY.itemsize)
            scratch.write(entries[begin : begin + sizes[index]].tobytes())
            begin += int(sizes[index])
        free += sizes


def _buckets(counts: NDArray[np.int64]) -> tuple[int, ...]:
    """First rows of runs of rows that hold `BLOCK_VALUES` values or one row."""
    ends = np.concatenate(([0], np.cumsum(counts)))
    first_rows, row = [0], 0
    while row < counts.size:
        fit = int(np.searchsorted(ends, ends[row] + BLOCK_VALUES, side="right")) - 1
        row = max(fit, row + 1)
        first_rows.append(row)
    return tuple(first_rows)


def _windows(size: int) -> Iterator[tuple[int, int]]:
    for low in range(0, size, BLOCK_VALUES):
        yield low, min(low + BLOCK_VALUES, size)


def _remove(folder: Path, owner: int) -> None:
    # A forked process inherits the finalizer, but the file is its parent's.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _refuse_full_disk(path: Path, folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise SourceError(
            f"{path.name} is stored by genes (CSC); turning it over takes {needed:,} bytes in "
            f"{folder}, and {free:,} are free. Free disk space, or write it anew as csr_matrix"
        )


EXPRESSION: Final = "data/expression"


@dataclass(frozen=True, eq=False)
class SampleColumns:
    """Chosen columns of the genes × samples array `EXPRESSION`, as rows.

    Parameters
    ----------
    path
        Local HDF5 file.
    chosen
        Positions of the samples in the file, ascending.
    n_genes
        Number of rows of the array.
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
