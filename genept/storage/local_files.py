"""Local copies of parquet files: reading vectors as a matrix, stale copies.

Downloading is done by `genept.storage.lake` and `genept.release.manifest`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

LEFT_AGE: Final = timedelta(days=1)


@dataclass(frozen=True)
class StaleCopies:
    """Files of a cache folder that may be deleted, and why.

    Parameters
    ----------
    why
        Reason, for the person who decides.
    files
        Paths of the files; they may be gone by the time they are deleted.
    """

    why: str
    files: tuple[Path, ...]

    @property
    def bytes(self) -> int:
        """Total size of the files."""
        return sum(file.stat().st_size for file in self.files if file.exists())

    def delete(self) -> None:
        """Delete the files; a process that has one open can go on reading it."""
        for file in self.files:
            file.unlink(missing_ok=True)


def stale_copies(
    cache: Path, held: Collection[str], *, now: datetime, age: timedelta
) -> list[StaleCopies]:
    """List copies that may be deleted; deletes nothing.

    Parameters
    ----------
    cache
        The folder `cache` of an installation.
    held
        SHA-256 of the files of the current release, whose copies are kept.
    now
        Present time.
    age
        Minimum time since a copy was last read or written.

    Returns
    -------
    list of StaleCopies
        One for each reason, without empty ones.
    """
    old = [
        file
        for folder in ("parts", "vectors")
        for pattern in ("*.parquet", "*.npy", "*.ducklake")
        for file in sorted((cache / folder).glob(pattern))
        if _idle(file, now) > age
        and not file.name.startswith(".")
        and file.name.split(".")[0] not in held
    ]
    left = [file for file in _left(cache) if _idle(file, now) > LEFT_AGE]
    groups = (
        StaleCopies(f"not of the current release, and not read for {age.days} days", tuple(old)),
        StaleCopies("incomplete files of killed processes", tuple(left)),
    )
    return [group for group in groups if group.files]


def _left(cache: Path) -> Iterator[Path]:
    """Incomplete downloads, and files in temporary folders."""
    for folder in ("parts", "vectors", "manifests"):
        yield from sorted((cache / folder).rglob("*.part"))
        yield from sorted(file for file in (cache / folder).glob("tmp*/*") if file.is_file())


def _idle(file: Path, now: datetime) -> timedelta:
    """Time since the file was last read or written."""
    state = file.stat()
    return timedelta(seconds=now.timestamp() - max(state.st_mtime, state.st_atime))


Matrix = NDArray[np.float32]


PAGE_BYTES: Final = 1 << 20
"""Size at which Arrow's writer begins a new page."""


COLUMN: Final = "embedding"

WIDTH: Final = np.dtype(np.float32).itemsize


def read_matrix(path: Path, dimension: int) -> Matrix:
    """Read column `embedding` of a verified file that the platform wrote.

    Uncompressed pages are copied from the file instead of decoded, which takes a fraction of the
    time of `pyarrow.parquet.read_table`; the first is compared with the decoded values.

    Parameters
    ----------
    path
        The parquet file.
    dimension
        Length of each vector.

    Returns
    -------
    numpy.ndarray
        Float32, rows × dimension.
    """
    body = np.memmap(path, dtype=np.uint8, mode="r") if path.stat().st_size else None
    with pq.ParquetFile(path) as file:
        metadata = file.metadata
        matrix = np.empty((metadata.num_rows, dimension), dtype=np.float32)
        paths = [metadata.schema.column(number).path for number in range(metadata.num_columns)]
        column = next(
            at for at, path_in_schema in enumerate(paths) if path_in_schema.startswith(f"{COLUMN}.")
        )
        at, checked = 0, False
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            rows, chunk = group.num_rows, group.column(column)
            place = matrix[at : at + rows]
            if body is None or not _lies_plain(chunk, rows, dimension):
                place[:] = _decoded(file.read_row_group(number, [COLUMN]), dimension)
            else:
                end = chunk.data_page_offset + chunk.total_compressed_size
                place[:] = body[end - place.nbytes : end].view(np.float32).reshape(rows, dimension)
                if not checked:
                    group_rows = _decoded(file.read_row_group(number, [COLUMN]), dimension)
                    if not np.array_equal(place, group_rows):
                        return _decoded(file.read([COLUMN]), dimension)
                checked = True
            at += rows
    return matrix


def _lies_plain(chunk: Any, rows: int, dimension: int) -> bool:
    """Whether a column chunk is a single page of plain numbers without a dictionary."""
    return (
        chunk.compression == "UNCOMPRESSED"
        and chunk.physical_type == "FLOAT"
        and not chunk.has_dictionary_page
        and set(chunk.encodings) <= {"PLAIN", "RLE"}
        and chunk.num_values == rows * dimension
        and chunk.total_compressed_size < PAGE_BYTES
    )


def _decoded(rows: pa.Table, dimension: int) -> Matrix:
    return np.asarray(rows[COLUMN].combine_chunks().flatten().to_numpy().reshape(-1, dimension))
