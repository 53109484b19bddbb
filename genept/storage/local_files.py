"""Parquet on this machine: vectors as one matrix, DuckDB as a reader, stale copies."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from genept.common.errors import StoreError
from genept.storage.object_store import ObjectStore

LEFT_AGE: Final = timedelta(days=1)


@dataclass(frozen=True)
class StaleCopies:
    """Files below a cache folder, and why they may go."""

    why: str
    files: tuple[Path, ...]

    @property
    def bytes(self) -> int:
        """Their size."""
        return sum(file.stat().st_size for file in self.files if file.exists())

    def delete(self) -> None:
        """Delete them; readers that have one open keep it until they close it."""
        for file in self.files:
            file.unlink(missing_ok=True)


def stale_copies(
    cache: Path, held: Collection[str], *, now: datetime, age: timedelta
) -> list[StaleCopies]:
    """Copies that may go; deletes nothing.

    Parameters
    ----------
    cache
        The folder `cache` of an installation.
    held
        SHA-256 of the files of the current release: their copies stay.
    age
        How long ago a copy must have been read or written last.
    """
    old = [
        file
        for folder in ("parts", "vectors")
        for pattern in ("*.parquet", "*.npy")
        for file in sorted((cache / folder).glob(pattern))
        if now.timestamp() - _touched(file) > age.total_seconds()
        and not file.name.startswith(".")
        and file.name.split(".")[0] not in held
    ]
    left = [file for file in _left(cache) if now.timestamp() - _touched(file) > _SECONDS]
    found = (
        StaleCopies(f"not of the current release, and not read for {age.days} days", tuple(old)),
        StaleCopies("what killed processes left half written", tuple(left)),
    )
    return [one for one in found if one.files]


_SECONDS: Final = LEFT_AGE.total_seconds()


def _left(cache: Path) -> Iterator[Path]:
    """Files that are renamed once they are whole, and those in folders for scratch."""
    for folder in ("parts", "vectors", "manifests"):
        yield from sorted((cache / folder).rglob("*.part"))
        yield from sorted(file for file in (cache / folder).glob("tmp*/*") if file.is_file())


def _touched(file: Path) -> float:
    state = file.stat()
    return max(state.st_mtime, state.st_atime)


Matrix = npt.NDArray[np.float32]


PAGE_BYTES: Final = 1 << 20
"""From this size on, Arrow's writer begins a new page."""


COLUMN: Final = "embedding"

WIDTH: Final = np.dtype(np.float32).itemsize


def read_matrix(path: Path, dimension: int) -> Matrix:
    """Column `embedding` of a file, rows × dimension; the file must be one of ours, verified."""
    body = np.memmap(path, dtype=np.uint8, mode="r") if path.stat().st_size else None
    with pq.ParquetFile(path) as file:
        metadata = file.metadata
        matrix = np.empty((metadata.num_rows, dimension), dtype=np.float32)
        paths = [metadata.schema.column(number).path for number in range(metadata.num_columns)]
        column = next(at for at, one in enumerate(paths) if one.startswith(f"{COLUMN}."))
        at, checked = 0, False
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            rows, chunk = group.num_rows, group.column(column)
            place = matrix[at : at + rows]
            if body is None or not _lies_plain(chunk, rows, dimension):
                place[:] = _decoded(file, number, dimension)
            else:
                end = chunk.data_page_offset + chunk.total_compressed_size
                place[:] = body[end - place.nbytes : end].view(np.float32).reshape(rows, dimension)
                if not checked and not np.array_equal(place, _decoded(file, number, dimension)):
                    return _all_decoded(file, dimension)
                checked = True
            at += rows
    return matrix


def _lies_plain(chunk: Any, rows: int, dimension: int) -> bool:
    """Whether a column chunk is one page of plain numbers, no dictionary before it."""
    return (
        chunk.compression == "UNCOMPRESSED"
        and chunk.physical_type == "FLOAT"
        and not chunk.has_dictionary_page
        and set(chunk.encodings) <= {"PLAIN", "RLE"}
        and chunk.num_values == rows * dimension
        and chunk.total_compressed_size < PAGE_BYTES
    )


def _decoded(file: pq.ParquetFile, number: int, dimension: int) -> Matrix:
    column = file.read_row_group(number, columns=[COLUMN])[COLUMN].combine_chunks()
    return np.asarray(column.flatten().to_numpy().reshape(-1, dimension))


def _all_decoded(file: pq.ParquetFile, dimension: int) -> Matrix:
    groups = range(file.metadata.num_row_groups)
    return np.concatenate([_decoded(file, number, dimension) for number in groups])


def duckdb_connection(store: ObjectStore) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that reads ``s3://…`` addresses of `store`.

    Raises
    ------
    StoreError
        The extension is missing or belongs to another DuckDB version.
    """
    connection = duckdb.connect(
        config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    )
    try:
        _load_httpfs(connection)
        connection.execute(store.duckdb_secret())
    except BaseException:
        connection.close()
        raise
    return connection


def _load_httpfs(connection: duckdb.DuckDBPyConnection) -> None:
    """Load the extension file whose folder carries the version of DuckDB itself."""
    wanted = f"duckdb-extension-httpfs=={duckdb.__version__}"
    try:
        extension = files("duckdb_extension_httpfs").joinpath(
            "extensions", f"v{duckdb.__version__}", "httpfs.duckdb_extension"
        )
        with as_file(extension) as path:
            connection.execute(f"LOAD '{str(path).replace(chr(39), chr(39) * 2)}'")
    except (ModuleNotFoundError, FileNotFoundError, duckdb.Error) as error:
        raise StoreError(
            f"DuckDB {duckdb.__version__} cannot read S3: its extension did not load ({error}); "
            f"install {wanted}"
        ) from error
