"""The three arrays of a compressed sparse matrix: opened, checked, their numbers made float32.

Everything that a reader of rows relies on is refused here if it is not so. Reading rows is in
`rows` and `transposed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from genept.common import SourceError, get_again
from genept.datasources.readers.hdf5.file import as_dataset, child, chunk_bytes

if TYPE_CHECKING:
    import h5py

OFFSETS: Final = 65_536
"""Offsets of rows that are read at once."""
_EXACT: Final = 2**24


@dataclass(frozen=True)
class SparseParts:
    """The three arrays of a compressed sparse matrix, not read yet."""

    data: h5py.Dataset
    indices: h5py.Dataset
    indptr: h5py.Dataset

    @property
    def chunk(self) -> int:
        """Bytes of the largest chunk of the three."""
        return max(chunk_bytes(part) for part in (self.data, self.indices, self.indptr))


def sparse_parts(group: h5py.Group) -> SparseParts:
    """Open the three arrays of a sparse matrix; their kinds and lengths must fit.

    Raises
    ------
    SourceError
        They are not vectors of numbers, or differ in length.
    """
    parts = SparseParts(*(as_dataset(child(group, n)) for n in ("data", "indices", "indptr")))
    where = f"{Path(group.file.filename).name}: {group.name.lstrip('/')}"
    for name, kinds in (("data", "biuf"), ("indices", "iu"), ("indptr", "iu")):
        part = getattr(parts, name)
        if part.ndim != 1 or part.dtype.kind not in kinds:
            raise SourceError(f"{where}/{name} is {part.dtype} of shape {part.shape}, not numbers")
    if parts.data.shape != parts.indices.shape:
        raise SourceError(
            f"{where} has {parts.data.size:,} values and {parts.indices.size:,} indices; expected "
            "as many of one as of the other"
        )
    return parts


def refuse_offsets(parts: SparseParts, n_major: int, n_minor: int, where: str) -> None:
    """Read the offsets once and refuse those that cannot be of `n_major` rows (or columns).

    Raises
    ------
    SourceError
        There are not `n_major` + 1 of them, from 0 up to the number of values, each step at
        least 0 and at most `n_minor`.
    """
    n_values, indptr = parts.data.size, parts.indptr
    if indptr.size != n_major + 1:
        raise SourceError(f"{where}/indptr has {indptr.size:,} offsets, expected {n_major + 1:,}")
    if indptr[0] != 0 or indptr[-1] != n_values:
        raise SourceError(
            f"{where}/indptr goes from {indptr[0]} to {indptr[-1]}, expected 0 to {n_values}"
        )
    for first in range(0, n_major, OFFSETS):
        steps = np.diff(indptr[first : first + OFFSETS + 1].astype(np.int64))
        wrong = np.flatnonzero((steps < 0) | (steps > n_minor))
        if wrong.size:
            at = first + int(wrong[0])
            raise SourceError(
                f"{where}/indptr gives {steps[wrong[0]]} values to number {at}; expected 0 to "
                f"{n_minor}"
            )


def refuse_indices(
    indices: NDArray[Any], indptr: NDArray[np.int64], n_minor: int, first: int, where: str
) -> None:
    """Refuse rows (or columns) whose indices are not within 0 to `n_minor`, ascending, unrepeated.

    Parameters
    ----------
    indptr
        Where rows begin; may lie outside of `indices`, which are then a part of them.
    first
        Number of the first row, for the message.

    Raises
    ------
    SourceError
        Names the first such row (or column) and how to repair the file.
    """
    falls = indices[1:] <= indices[:-1]
    starts = np.unique(indptr[(indptr > 0) & (indptr < indices.size)])
    ascending = np.count_nonzero(falls) == np.count_nonzero(falls[starts - 1])
    # The lowest and highest of ascending indices are at the ends of their rows.
    ends = np.concatenate((indices[:1], indices[starts - 1], indices[starts], indices[-1:]))
    refuse_out_of_range(ends if ascending else indices, n_minor, where)
    if not ascending:
        inside = np.setdiff1d(np.flatnonzero(falls) + 1, starts)
        row = first + int(np.searchsorted(indptr, inside[0], side="right")) - 1
        raise SourceError(
            f"{where}: the indices of number {row} are unsorted or repeated; in anndata, call "
            "`adata.X.sum_duplicates()` (it sorts them, too) and write the file anew"
        )


def refuse_out_of_range(indices: NDArray[Any], n_minor: int, where: str) -> None:
    """Refuse indices below 0 or from `n_minor` on.

    Raises
    ------
    SourceError
        Names the first of them.
    """
    if indices.size and (indices.min() < 0 or indices.max() >= n_minor):
        odd = indices[(indices < 0) | (indices >= n_minor)][0]
        raise SourceError(
            f"{where} holds the index {odd}, but only 0 to {n_minor - 1} exist; the file is "
            f"damaged: {get_again('fetch it again or ask its publisher')}"
        )


def as_float32(values: NDArray[Any], where: str) -> NDArray[np.float32]:
    """Numbers as float32; whole numbers that it would round are refused, not rounded.

    Raises
    ------
    SourceError
        A number is beyond what float32 holds exactly.
    """
    if values.dtype == np.float32:
        return values
    wide = values.dtype.kind in "iu" and values.dtype.itemsize > 2
    if values.size and (wide or values.dtype.itemsize > 4):
        # NaN is neither above nor below: ingest finds it, and names the observation.
        large = values[(values > _EXACT) | (values < -_EXACT)]
        if large.size:
            raise SourceError(
                f"{where} holds {large[0]}, beyond ±{_EXACT:,}: float32 would round it"
            )
    return values.astype(np.float32)
