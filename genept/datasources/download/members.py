"""Named members streamed out of zip and tar archives, under caps on bytes, ratio and entries."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, ClassVar, Final, Self, cast

from genept.common import SourceError
from genept.datasources.download.compression import (
    _DAMAGE,
    MAX_RATIO,
    MEBIBYTE,
    _most,
    as_source_error,
    capped,
)

MAX_ENTRIES: Final = 20_000

MAX_HEADER: Final = MEBIBYTE

MAX_NAMES: Final = 4 * MEBIBYTE

_TAR_MAGIC_AT: Final = 257


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
        entry = archive.infolist()[_only_match(archive.namelist(), name, what)]
        inner = f"{what}, {entry.filename}"
        _refuse_declared(entry.file_size, entry.compress_size, inner, limit)
        try:
            with as_source_error(what):
                stream = archive.open(entry)
        except (NotImplementedError, RuntimeError) as error:
            if isinstance(error, SourceError):
                raise
            raise SourceError(
                f"{what}: {entry.filename} is encrypted or of an unknown kind"
            ) from error
        with stream:
            yield capped(
                cast(BinaryIO, stream), packed=entry.compress_size, what=inner, limit=limit
            )


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
    wanted = _only_match(tar_names(path, what, limit=limit), name, what)
    with _tar_stream(path, what, limit) as archive:
        with as_source_error(what):
            entry = next(entry for position, entry in enumerate(archive) if position == wanted)
            _refuse_declared(entry.size, path.stat().st_size, f"{what}, {entry.name}", limit)
            stream = archive.extractfile(entry)
        if stream is None:
            raise SourceError(f"{what}: {entry.name} is a folder, not a file")
        with stream:
            yield capped(
                cast(BinaryIO, stream),
                packed=path.stat().st_size,
                what=f"{what}, {entry.name}",
                limit=limit,
            )


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
            _refuse_declared(
                entry.file_size, entry.compress_size, f"{what}, {entry.filename}", None
            )


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


def is_tar(path: Path) -> bool:
    """Whether a file begins like a tar or tar.gz; reads no more than the first header.

    Parameters
    ----------
    path
        Local file.

    Returns
    -------
    bool
        False for a file that cannot be read, too.
    """
    try:
        with path.open("rb") as file, ExitStack() as stack:
            packed = file.peek(2).startswith(b"\x1f\x8b")
            unpacked = stack.enter_context(gzip.GzipFile(fileobj=file)) if packed else file
            tarfile.TarInfo.frombuf(unpacked.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
    except (*_DAMAGE, OSError):
        return False
    return True


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
        size = path.stat().st_size
        safe = capped(cast(BinaryIO, unpacked), packed=size, what=what, limit=limit)
        with as_source_error(what):
            archive = tarfile.open(  # noqa: SIM115, entered just below
                fileobj=safe,
                mode="r|",
                tarinfo=type("_NamedTarInfo", (_ModestTarInfo,), {"what": what}),
            )
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


def _only_match(names: Iterable[str], wanted: str, what: str) -> int:
    matching = [
        (position, name)
        for position, name in enumerate(names)
        if name == wanted or name.endswith(f"/{wanted}")
    ]
    if len(matching) == 1:
        return matching[0][0]
    if not matching:
        raise SourceError(f"{what}: has no member {wanted!r}")
    raise SourceError(f"{what}: {wanted!r} fits several members: {[name for _, name in matching]}")
