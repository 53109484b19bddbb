"""Sparse triplets in any order, sorted into rows of CSR on disk.

An external bucket sort: each triplet goes to the file of its range of
observations, and each file is small enough to be sorted in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from genept.sources.errors import SourceError

BUCKET_VALUES: Final = 1 << 21
"""Triplets a bucket is meant to hold: about 100 MiB while it is sorted."""
_RECORD: Final = np.dtype([("row", "<i4"), ("column", "<i4"), ("value", "<f4")])


class Buckets:
    """Triplets on their way into rows.

    Parameters
    ----------
    folder
        Where the buckets are written; they are removed as they are read.
    shape
        Observations × genes.
    expected
        How many triplets there will be, about.
    """

    def __init__(self, folder: Path, shape: tuple[int, int], expected: int) -> None:
        self._folder, self._shape = folder, shape
        self._rows = max(1, shape[0] * BUCKET_VALUES // max(expected, 1))
        self._n = -(-shape[0] // self._rows)
        self._stored = np.zeros(shape[0], np.int64)

    def add(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64], values: NDArray[np.float32]
    ) -> None:
        """Add triplets; indices are from 0 and within the shape.

        Raises
        ------
        SourceError
            An observation has more values than there are genes, or two values of one gene among
            these triplets. Two that are added apart are found by `blocks`.
        """
        keys = np.sort(rows * self._shape[1] + columns)
        if (twice := keys[1:] == keys[:-1]).any():
            row, column = divmod(int(keys[int(np.argmax(twice))]), self._shape[1])
            raise SourceError(_two_values(row, column))
        first_row = int(rows.min()) if rows.size else 0
        added = np.bincount(rows - first_row)
        stored = self._stored[first_row : first_row + added.size]
        stored += added
        if (stored > self._shape[1]).any():
            at = first_row + int(np.argmax(stored > self._shape[1]))
            raise SourceError(
                f"observation {at + 1} has two values of genes: there are {self._shape[1]:,} genes "
                "and more values; expected one of each"
            )
        records = np.empty(len(rows), _RECORD)
        records["row"], records["column"], records["value"] = rows, columns, values
        bucket = rows // self._rows
        order = np.argsort(bucket, kind="stable")
        present, first = np.unique(bucket[order], return_index=True)
        for number, part in zip(present, np.split(records[order], first[1:]), strict=True):
            with self._file(int(number)).open("ab") as file:
                part.tofile(file)

    def blocks(self, what: str) -> Iterator[csr_matrix]:
        """All rows in order, a bucket at a time, with sorted indices.

        Raises
        ------
        SourceError
            An observation has two values of one gene.
        """
        for number in range(self._n):
            first = number * self._rows
            shape = (min(self._rows, self._shape[0] - first), self._shape[1])
            path = self._file(number)
            records = np.fromfile(path, _RECORD) if path.exists() else np.empty(0, _RECORD)
            path.unlink(missing_ok=True)
            # Published matrices are mostly sorted, which this sort makes use of.
            key = records["row"].astype(np.int64) * self._shape[1] + records["column"]
            order = np.argsort(key, kind="stable")
            rows, columns = records["row"][order] - first, records["column"][order]
            twice = np.flatnonzero((np.diff(rows) == 0) & (np.diff(columns) == 0))
            if len(twice):
                at = twice[0]
                row, column = int(rows[at]) + first, int(columns[at])
                raise SourceError(f"{what}: {_two_values(row, column)}")
            indptr = np.searchsorted(rows, np.arange(shape[0] + 1)).astype(np.int32)
            block = csr_matrix((records["value"][order], columns, indptr), shape=shape)
            block.eliminate_zeros()
            yield block

    def _file(self, number: int) -> Path:
        return self._folder / f"bucket-{number:06d}"


def _two_values(row: int, column: int) -> str:
    return f"observation {row + 1} has two values of gene {column + 1}; expected one"
