"""Gzip unpacked as it comes, under caps: for large files, and for those within archives.

Whole small streams are unpacked by `genept.sources.members`.
"""

from __future__ import annotations

import gzip
import io
from typing import BinaryIO, cast

from genept.sources.errors import SourceError
from genept.sources.members import MAX_RATIO, MEBIBYTE, as_source_error


def unpacking(packed: io.BufferedReader, what: str, max_bytes: int) -> io.BufferedReader:
    """Unpack a gzip stream as it comes; what came out is held against what went in.

    For large files, and for those whose packed size is not known, such as one in a tar.
    Damage is noticed where it is reached; it raises as :func:`open_gzip` does.
    """
    return io.BufferedReader(_Unpacking(packed, what, max_bytes), MEBIBYTE)


class _Unpacking(io.RawIOBase):
    """Reads through a gzip file, under caps."""

    def __init__(self, packed: io.BufferedIOBase, what: str, max_bytes: int) -> None:
        self._packed, self._what, self._max_bytes = _Counted(packed), what, max_bytes
        self._stream = gzip.GzipFile(fileobj=cast(BinaryIO, self._packed))
        self._seen = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        with as_source_error(self._what):
            data = self._stream.read(len(view))
        self._seen += len(data)
        if self._seen > min(self._max_bytes, MEBIBYTE + MAX_RATIO * self._packed.n_read):
            raise SourceError(
                f"{self._what}: {self._packed.n_read:,} bytes unpack to more than {self._seen:,} "
                f"(cap: {self._max_bytes:,} bytes and {MAX_RATIO}:1): refused as a decompression "
                "bomb"
            )
        view[: len(data)] = data
        return len(data)


class _Counted(io.RawIOBase):
    """Counts the bytes that are read through it."""

    def __init__(self, inner: io.BufferedIOBase) -> None:
        self._inner, self.n_read = inner, 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._inner.read(size)
        self.n_read += len(data)
        return data
