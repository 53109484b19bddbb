"""Published files as streams: members of archives, unpacked, refused if they are not text.

Also which publishers' files are available without a request: cached, or in a mirror's folder.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from genept.common import SourceError, get_again, option
from genept.datasources.download import members
from genept.datasources.download.archives import Archives
from genept.datasources.download.compression import Opener, unpacking
from genept.datasources.download.members import zip_names

MAX_UNPACKED: Final = 1 << 37
"""Bytes that a streamed text may unpack to, beside the ratio: it is never held whole."""

_FROM_PUBLISHER: Final = "fetch it again from its publisher"

_GZIP: Final = b"\x1f\x8b"

_EXPORT: Final = "export it as CSV, TSV, Matrix Market, parquet or h5ad"

_FOREIGN: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x80\x02", f"is a Python pickle, which can run code when it is opened: {_EXPORT}"),
    (b"\x80\x03", f"is a Python pickle, which can run code when it is opened: {_EXPORT}"),
    (b"\x80\x04", f"is a Python pickle, which can run code when it is opened: {_EXPORT}"),
    (b"\x80\x05", f"is a Python pickle, which can run code when it is opened: {_EXPORT}"),
    (b"\x93NUMPY", f"is a NumPy array without names (and may hold pickled objects): {_EXPORT}"),
    (b"X\n\0\0\0", f"is an R object (RDS): {_EXPORT} from R"),
    (b"A\n2\n", f"is an R object (RDS, ASCII): {_EXPORT} from R"),
    (b"A\n3\n", f"is an R object (RDS, ASCII): {_EXPORT} from R"),
    (b"RDX", f"is an R workspace (RData): {_EXPORT} from R"),
    (b"RDA", f"is an R workspace (RData): {_EXPORT} from R"),
    (b"BZh", "is packed with bzip2: unpack it, or pack it with gzip"),
    (b"\xfd7zXZ", "is packed with xz: unpack it, or pack it with gzip"),
    (b"\x28\xb5\x2f\xfd", "is packed with zstd: unpack it, or pack it with gzip"),
    (b"\xd0\xcf\x11\xe0", "is an old Excel workbook (xls): save it as CSV"),
    (b"\x89HDF", "is HDF5, not text: its format must be one of HDF5 (h5ad, tenx_h5)"),
    (b"PAR1", "is parquet, not text: its format must be 'parquet'"),
    (b"PK\x03\x04", "is a zip or an Excel workbook: name the member to read, or save it as CSV"),
)


@contextmanager
def open_bytes(
    path: Path, member: str | None, what: str, *, max_bytes: int = MAX_UNPACKED
) -> Iterator[io.BufferedReader]:
    """Stream a file, or one member of a folder, zip or tar; a gzip layer is unpacked.

    Parameters
    ----------
    path
        Local file or folder.
    member
        Path of the member, or the end of it; None: the file itself.
    what
        Name of the file for messages.
    max_bytes
        Most that it may unpack to; its ratio is limited to `MAX_RATIO` besides.

    Yields
    ------
    io.BufferedReader
        The unpacked bytes.

    Raises
    ------
    SourceError
        It is empty, damaged, cut short, a web page, or unpacks to more than the caps allow.
    """
    with ExitStack() as stack:
        packed = stack.enter_context(_contained(path, member, what, max_bytes))
        head = packed.peek(2)
        if not head:
            raise SourceError(f"{what}: is empty (zero bytes): {get_again(_FROM_PUBLISHER)}")
        if head.startswith(_GZIP):
            packed = stack.enter_context(unpacking(packed, what, max_bytes))
            if not packed.peek(1):
                raise SourceError(f"{what}: unpacks to nothing: {get_again(_FROM_PUBLISHER)}")
        if packed.peek(512)[:512].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
            raise SourceError(
                f"{what}: is a web page or XML, not data (it begins with "
                f"{packed.peek(24)[:24]!r}): perhaps an error or a log-in page was "
                "saved instead; open it in a browser to see"
            )
        yield packed


@contextmanager
def open_text(
    path: Path,
    member: str | None,
    what: str,
    *,
    encoding: str = "utf-8",
    max_bytes: int = MAX_UNPACKED,
) -> Iterator[io.BufferedReader]:
    """Stream a text file as `open_bytes` does, if its first bytes can be text at all.

    Parameters
    ----------
    path, member, what, max_bytes
        As of `open_bytes`.
    encoding
        Declared encoding: UTF-16 is refused unless it is declared.

    Yields
    ------
    io.BufferedReader
        The unpacked bytes, in their own encoding.

    Raises
    ------
    SourceError
        As for `open_bytes`; or it is a pickle, an R object, a NumPy array, a
        spreadsheet or other binary, or UTF-16 that is not declared.
    """
    with open_bytes(path, member, what, max_bytes=max_bytes) as stream:
        head = stream.peek(512)[:512]
        for magic, problem in _FOREIGN:
            if head.startswith(magic):
                raise SourceError(f"{what}: {problem}")
        if encoding != "utf-16":
            if head.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise SourceError(
                    f"{what}: is UTF-16, not UTF-8: convert it, or set "
                    f"{option('encoding', 'utf-16')}"
                )
            if b"\0" in head:
                raise SourceError(f"{what}: is binary, not text: it begins with {head[:16]!r}")
        yield stream


def member_names(path: Path, what: str) -> list[str]:
    """Return the names of the files in a folder, zip or tar; of any other file, its own name.

    Parameters
    ----------
    path
        Local folder or file.
    what
        Name of the file for messages.

    Returns
    -------
    list of str
        Paths in a folder, sorted; paths in an archive, in its order.

    Raises
    ------
    SourceError
        The archive is damaged or unsafe.
    """
    if path.is_dir():
        return sorted(it.relative_to(path).as_posix() for it in path.rglob("*") if it.is_file())
    if zipfile.is_zipfile(path):
        return members.zip_names(path, what)
    if members.is_tar(path):
        return members.tar_names(path, what)
    return [path.name]


@contextmanager
def _contained(
    path: Path, member: str | None, what: str, max_bytes: int
) -> Iterator[io.BufferedReader]:
    if path.is_dir():
        with _in_folder(path, member, what).open("rb") as file:
            yield file
    elif member is None:
        with path.open("rb") as file:
            yield file
    elif zipfile.is_zipfile(path):
        with members.open_zip_member(path, member, what, limit=max_bytes) as stream:
            yield stream
    elif members.is_tar(path):
        with members.open_tar_member(path, member, what, limit=max_bytes) as stream:
            yield stream
    else:
        raise SourceError(
            f"{what}: is neither a folder, a zip nor a tar, so it has no member {member!r}; it "
            f"begins with {_first_bytes(path)!r}"
        )


def _in_folder(folder: Path, member: str | None, what: str) -> Path:
    if member is None:
        raise SourceError(f"{what}: is a folder: name the file to read in options.member")
    parts = PurePosixPath(member).parts
    matching = [
        it for it in member_names(folder, what) if PurePosixPath(it).parts[-len(parts) :] == parts
    ]
    if len(matching) != 1:
        raise SourceError(f"{what}: {member!r} fits {len(matching)} of its files, expected one")
    file = folder / matching[0]
    if not file.resolve().is_relative_to(folder.resolve()):
        raise SourceError(f"{what}: {matching[0]!r} is a link that leads out of it: refused")
    return file


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)


_HUMAN = "Homo_sapiens"


@dataclass(frozen=True)
class AvailableFile:
    """One available file of a publisher, and how to open it.

    Parameters
    ----------
    id
        Id of its source in the catalogue.
    path
        Local file, as published.
    sha256
        Hash of that file.
    release
        Id and date of publication; where no date is known, id and 12 digits of the hash.
    opener
        Opens the unpacked bytes, or those of the table in an archive.
    """

    id: str
    path: Path
    sha256: str
    release: str
    opener: Opener


def available_files(archives: Archives, ids: Iterable[str]) -> dict[str, AvailableFile]:
    """Files that can be read without a request: cached, or in a mirror's folder.

    Parameters
    ----------
    archives
        Finds and opens the sources.
    ids
        Ids of sources in the catalogue.

    Returns
    -------
    dict of str to AvailableFile
        By id, in the order of `ids`; sources that are not available are left out.
    """
    return {id_: _available_file(archives, id_) for id_ in ids if archives.is_available(id_)}


def _available_file(archives: Archives, id_: str) -> AvailableFile:
    source = archives.catalogue.source(id_)
    path, sha256 = archives.fetch(id_), archives.data_version(id_)
    seen = archives.cache_metadata(id_)
    dated = source.published or (seen.released.date() if seen and seen.released else None)
    return AvailableFile(
        id=id_,
        path=path,
        sha256=sha256,
        release=f"{id_}-{dated or f'sha256-{sha256[:12]}'}",
        opener=partial(_opened, archives, id_),
    )


def _opened(archives: Archives, id_: str) -> AbstractContextManager[BinaryIO]:
    """Its unpacked bytes; of an archive, those of its human table."""
    if archives.catalogue.source(id_).kind != "zip":
        return archives.open(id_)
    names = zip_names(archives.fetch(id_), id_)
    human = [name for name in names if _HUMAN in name]
    if len(human) != 1:
        raise SourceError(f"source {id_}: expected one member with {_HUMAN!r}, found {human}")
    return archives.open_member(id_, human[0])
