"""Members streamed out of zip and tar archives, under caps on bytes, ratio and entries.

The caps hold for whatever is unpacked. Files that are packed as a whole are opened in
`genept.datasources.download.streams`.
"""

import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import BinaryIO, ClassVar, Final, Self, cast

from genept.common import SourceError, get_again

MEBIBYTE: Final = 1 << 20
MAX_BYTES: Final = 512 * MEBIBYTE
MAX_RATIO: Final = 200
"""Largest ratio of unpacked to packed bytes of texts, archives and parquet;
arrays in HDF5 have a limit of their own (`readers.hdf5.file`)."""
MAX_ENTRIES: Final = 20_000
MAX_HEADER: Final = MEBIBYTE
MAX_NAMES: Final = 4 * MEBIBYTE
REMEDY: Final = "delete the archive and run again; if it comes back so, do not use it"
DAMAGE: Final = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile)
_TAR_MAGIC_AT: Final = 257


class _Capped(io.RawIOBase):
    """Reads through to `inner` up to `most()` bytes; damage becomes a `SourceError`."""

    def __init__(self, inner: BinaryIO, most: Callable[[], int], what: str) -> None:
        self._inner, self._most, self._what, self._seen = inner, most, what, 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._seen

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        with as_source_error(self._what):
            data = self._inner.read(len(view))
        self._seen += len(data)
        if self._seen > (most := self._most()):
            raise SourceError(
                f"{self._what}: unpacks to more than {most:,} bytes "
                f"(at most {MAX_RATIO}:1): refused as a decompression bomb"
            )
        view[: len(data)] = data
        return len(data)


def capped(
    inner: BinaryIO, packed: int | Callable[[], int], what: str, limit: int | None = None
) -> io.BufferedReader:
    """Wrap a decompressing stream so that it yields at most what `packed` bytes may unpack to.

    `packed` is called while reading where the size is not known before. The ratio only counts
    beyond the first MiB: short runs of zeros are no attack. `limit` replaces the usual cap on bytes
    where the catalogue expects more; the ratio stays.
    """
    n_packed = packed if callable(packed) else lambda: packed
    return io.BufferedReader(_Capped(inner, lambda: _most(n_packed(), limit), what), MEBIBYTE)


def _most(packed: int, limit: int | None = None) -> int:
    return min(limit or MAX_BYTES, MEBIBYTE + MAX_RATIO * packed)


@contextmanager
def as_source_error(what: str) -> Iterator[None]:
    """Turn what the standard library says of damage into a `SourceError` that names the file."""
    try:
        yield
    except DAMAGE as error:
        raise SourceError(
            f"{what}: is damaged or cut short ({error}); {get_again(REMEDY)}"
        ) from error


@contextmanager
def open_zip_member(
    file: Path | BinaryIO, name: str, what: str, *, limit: int | None = None
) -> Iterator[io.BufferedReader]:
    """Stream the one member of a zip whose path is `name` or ends in ``/name``.

    Raises
    ------
    SourceError
        The zip is damaged, hides a path, link or device, or `name` fits none or several members.
    """
    with _safe_zip(file, what) as archive:
        entry = archive.infolist()[only_match(archive.namelist(), name, what)]
        inner = f"{what}, {entry.filename}"
        _refuse_declared(entry.file_size, entry.compress_size, inner, limit)
        with as_source_error(what):
            try:
                stream = archive.open(entry)
            except (NotImplementedError, RuntimeError) as error:
                problem = "is encrypted or of an unknown kind"
                raise SourceError(f"{what}: {entry.filename} {problem}") from error
        with stream:
            yield capped(cast(BinaryIO, stream), entry.compress_size, inner, limit)


@contextmanager
def open_tar_member(
    path: Path, name: str, what: str, *, limit: int | None = None
) -> Iterator[io.BufferedReader]:
    """Stream the one regular member of a tar or tar.gz whose path is `name` or ends in ``/name``.

    Raises
    ------
    SourceError
        As for :func:`open_zip_member`.
    """
    wanted, packed = only_match(tar_names(path, what, limit=limit), name, what), path.stat().st_size
    with _tar_stream(path, what, limit) as archive:
        with as_source_error(what):
            entry = next(islice(archive, wanted, None))
            inner = f"{what}, {entry.name}"
            _refuse_declared(entry.size, packed, inner, limit)
            stream = archive.extractfile(entry)
        if stream is None:
            raise SourceError(f"{what}: {entry.name} is a folder, not a file")
        with stream:
            yield capped(cast(BinaryIO, stream), packed, inner, limit)


def zip_names(file: Path, what: str) -> list[str]:
    """Return the paths in a zip; raises as :func:`open_zip_member` does.

    Parameters
    ----------
    file
        Local zip.
    what
        Name of the file for messages.

    Returns
    -------
    list of str
        Paths of files and folders, in the order of the zip.
    """
    with _safe_zip(file, what) as archive:
        return archive.namelist()


def refuse_large_zip(file: Path, what: str) -> None:
    """Refuse a zip that another library will read if it unpacks beyond the caps.

    Python's own zip reader stops at the declared size, but others may not, so this
    holds what is declared only against an honest bomb.

    Parameters
    ----------
    file
        Local zip, such as an Excel workbook.
    what
        Name of the file for messages.

    Raises
    ------
    SourceError
        It is damaged, has unsafe or too many members, or declares a member beyond the caps.
    """
    with _safe_zip(file, what) as archive:
        for entry in archive.infolist():
            inner = f"{what}, {entry.filename}"
            _refuse_declared(entry.file_size, entry.compress_size, inner, None)


def tar_names(path: Path, what: str, *, limit: int | None = None) -> list[str]:
    """Return the paths in a tar or tar.gz, in its order; raises as :func:`open_tar_member` does."""
    names: list[str] = []
    length = 0
    with _tar_stream(path, what, limit) as archive, as_source_error(what):
        for entry in archive:
            _refuse_unsafe(entry.name, entry.isreg() or entry.isdir(), what)
            names.append(entry.name)
            _refuse_many(len(names), what)
            length += len(entry.name)
            if length > MAX_NAMES:
                raise SourceError(
                    f"{what}: its names take more than {MAX_NAMES:,} letters: refused as an attack"
                )
    return names


@contextmanager
def _safe_zip(file: Path | BinaryIO, what: str) -> Iterator[zipfile.ZipFile]:
    with as_source_error(what):
        archive = zipfile.ZipFile(file)
    with archive:
        _refuse_many(len(archive.infolist()), what)
        for entry in archive.infolist():
            # The upper half holds Unix permissions; 0 means that none were recorded.
            kind = stat.S_IFMT(entry.external_attr >> 16)
            _refuse_unsafe(entry.filename, kind in (0, stat.S_IFREG, stat.S_IFDIR), what)
        yield archive


class _ModestTarInfo(tarfile.TarInfo):
    """A header whose extension is small: tarfile reads long names and attributes whole."""

    what: ClassVar[str] = "a tar"
    _EXTENSIONS: Final = frozenset(
        (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
         tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
    )  # fmt: skip

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """As in `tarfile`, refusing what would be read into memory beyond `MAX_HEADER`."""
        header = super().frombuf(buf, encoding, errors)
        if header.type in cls._EXTENSIONS and header.size > MAX_HEADER:
            raise SourceError(
                f"{cls.what}: a header declares {header.size:,} bytes of names or attributes "
                f"(cap: {MAX_HEADER:,}): refused as an attack"
            )
        return header


@contextmanager
def _tar_stream(path: Path, what: str, limit: int | None) -> Iterator[tarfile.TarFile]:
    with path.open("rb") as file, ExitStack() as stack:
        # What GEO publishes as _RAW.tar is not compressed: its members are.
        is_plain = file.peek(_TAR_MAGIC_AT + 5)[_TAR_MAGIC_AT:].startswith(b"ustar")
        unpacked = file if is_plain else stack.enter_context(gzip.GzipFile(fileobj=file))
        safe = capped(cast(BinaryIO, unpacked), path.stat().st_size, what, limit)
        info = type("_NamedTarInfo", (_ModestTarInfo,), {"what": what})
        with as_source_error(what):
            archive = tarfile.open(fileobj=safe, mode="r|", tarinfo=info)  # noqa: SIM115, see below
        with archive:
            yield archive


def _refuse_unsafe(name: str, is_plain: bool, what: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        raise SourceError(f"{what}: holds the path {name!r}, which leads out of it: refused")
    if not is_plain:
        raise SourceError(f"{what}: {name!r} is a link or a device: refused")


def _refuse_many(entries: int, what: str) -> None:
    if entries > MAX_ENTRIES:
        raise SourceError(f"{what}: holds more than {MAX_ENTRIES:,} entries: refused as an attack")


def _refuse_declared(size: int, packed: int, what: str, limit: int | None) -> None:
    if size > (most := _most(packed, limit)):
        raise SourceError(
            f"{what}: declares {size:,} bytes out of {packed:,} (cap: {most:,} bytes, and "
            f"{MAX_RATIO}:1): refused as a decompression bomb"
        )


def only_match(names: Iterable[str], wanted: str, what: str) -> int:
    """Position of the one name that is `wanted` or ends in it, as a path."""
    matching = {at: name for at, name in enumerate(names) if f"/{name}".endswith(f"/{wanted}")}
    if not matching:
        raise SourceError(f"{what}: has no member {wanted!r}")
    if len(matching) > 1:
        raise SourceError(f"{what}: {wanted!r} fits several members: {[*matching.values()]}")
    return next(iter(matching))
