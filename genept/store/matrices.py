"""Vectors out of a parquet file as one matrix, copied instead of decoded where they lie plain.

`genept.store.parquet` writes gene vectors uncompressed and without a dictionary, one page per
row group: the bytes of a row group's vectors are the last ones of its column chunk. A reader
that decodes them walks through repetition levels of every number, which takes as long as
fetching the file. Files of another layout are decoded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

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
