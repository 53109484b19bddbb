"""Ranges of a gzipped HDF5 array, unpacked by ISA-L: half the time of HDF5's own filter.

Most published single cells lie in such arrays, and unpacking them is most of reading them.
Whatever is stored in another way is read by h5py itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import numpy.typing as npt
from isal import igzip_lib

from genept.sources.errors import SourceError

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
