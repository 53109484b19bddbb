"""Gzip unpacked under caps on bytes and on ratio; publishers' files opened as streams of text.

Members of zip and tar archives are in `genept.datasources.download.members`.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, Final, cast

from genept.common import SourceError, get_again

MEBIBYTE: Final = 1 << 20

MAX_BYTES: Final = 512 * MEBIBYTE

MAX_RATIO: Final = 200

_DAMAGE: Final = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile)

_REMEDY: Final = "delete the archive and run again; if it comes back so, do not use it"


class _Capped(io.RawIOBase):
    """Reads through to `inner` up to `limit` bytes; damage becomes a `SourceError`."""

    def __init__(self, inner: BinaryIO, limit: int, what: str) -> None:
        self._inner, self._limit, self._what, self._seen = inner, limit, what, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        with as_source_error(self._what):
            data = self._inner.read(len(view))
        self._seen += len(data)
        if self._seen > self._limit:
            raise SourceError(
                f"{self._what}: unpacks to more than {self._limit:,} bytes "
                f"(at most {MAX_RATIO}:1): refused as a decompression bomb"
            )
        view[: len(data)] = data
        return len(data)


def capped(
    inner: BinaryIO, *, packed: int, what: str, limit: int | None = None
) -> io.BufferedReader:
    """Wrap a decompressing stream so that it yields at most what `packed` bytes may unpack to.

    The ratio only counts beyond the first MiB: short runs of zeros are no attack. `limit`
    replaces the usual cap on bytes where the catalogue expects more; the ratio stays.
    """
    return io.BufferedReader(_Capped(inner, _most(packed, limit), what), MEBIBYTE)


def _most(packed: int, limit: int | None = None) -> int:
    return min(limit or MAX_BYTES, MEBIBYTE + MAX_RATIO * packed)


@contextmanager
def open_gzip(packed: BinaryIO, what: str) -> Iterator[BinaryIO]:
    """Unpack a gzip stream, whose packed bytes are read into memory; see `open_gzip_file`.

    Parameters
    ----------
    packed
        Gzip bytes, from their beginning.
    what
        Name of the file for messages.

    Yields
    ------
    BinaryIO
        The unpacked bytes: 1 MiB and `MAX_RATIO` times the packed bytes at most, and `MAX_BYTES`.

    Raises
    ------
    SourceError
        It is empty, is not gzip, is cut short, fails its CRC, has something behind its end, or
        unpacks to more than the caps allow.
    """
    data = packed.read()
    if not data.startswith(b"\x1f\x8b"):
        problem = "is empty" if not data else f"begins with {data[:16]!r}"
        raise SourceError(f"{what}: expected gzip, but it {problem}; {get_again(_REMEDY)}")
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        yield capped(cast(BinaryIO, stream), packed=len(data), what=what)


@contextmanager
def open_gzip_file(file: BinaryIO, what: str, *, limit: int | None = None) -> Iterator[BinaryIO]:
    """Unpack a gzip file of any size as it is read; refuses what `open_gzip` refuses.

    That it is cut short, or has something behind its end, is found when the end is read.
    """
    packed = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(16)
    file.seek(0)
    if not head.startswith(b"\x1f\x8b"):
        problem = f"begins with {head!r}" if head else "is empty"
        raise SourceError(f"{what}: expected gzip, but it {problem}; {get_again(_REMEDY)}")
    with gzip.GzipFile(fileobj=file) as stream:
        yield capped(cast(BinaryIO, stream), packed=packed, what=what, limit=limit)


@contextmanager
def as_source_error(what: str) -> Iterator[None]:
    """Turn what the standard library says of damage into a `SourceError` that names the file."""
    try:
        yield
    except _DAMAGE as error:
        raise SourceError(
            f"{what}: is damaged or cut short ({error}); {get_again(_REMEDY)}"
        ) from error


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


Opener = Callable[[], AbstractContextManager[BinaryIO]]
"""Opens the unpacked bytes of one file, from their beginning."""


MAX_UNPACKED: Final = 8 << 30
"""Of a file that is streamed line by line and never held in memory."""


def file_opener(path: Path) -> Opener:
    """Opens a local file; one that ends in ``.gz`` is unpacked, under caps."""

    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        try:
            with path.open("rb") as file:
                if path.suffix != ".gz":
                    yield cast(BinaryIO, file)
                    return
                if not path.stat().st_size:  # gunzip would accept it
                    raise SourceError(f"{path.name}: is empty; {get_again()}")
                with gzip.GzipFile(fileobj=file) as stream:
                    packed = path.stat().st_size
                    yield capped(
                        cast(BinaryIO, stream),
                        packed=packed,
                        what=path.name,
                        limit=MAX_UNPACKED,
                    )
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror or error}") from error

    return opened


def text_lines(opener: Opener, what: str) -> Iterator[tuple[int, str]]:
    """The numbered lines of a text file.

    Parameters
    ----------
    opener
        Opens the unpacked bytes of the file.
    what
        Name of the file for messages.

    Yields
    ------
    number, line
        Number from 1, and the line without its end.

    Raises
    ------
    SourceError
        It is empty, is a web page under a data file's name, or is not UTF-8.
    """
    with opener() as stream:
        text = TextIOWrapper(stream, encoding="utf-8", newline="\n")
        number = 0
        try:
            for number, line in enumerate(text, start=1):
                if number == 1 and line.lstrip()[:1] == "<":
                    raise SourceError(f"{what}: is a web page, not data; {get_again()}")
                yield number, line.rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise SourceError(f"{what}: line {number + 1} is not UTF-8: {error}") from error
        finally:
            text.detach()
        if not number:
            raise SourceError(f"{what}: is empty; {get_again()}")
