"""Published files as streams: unpacked, from archives and folders too, and refused if no text.

Members of archives, and the caps on what is unpacked, are in `genept.datasources.download.members`.
"""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

from genept.common import SourceError, get_again, option
from genept.datasources.download import members
from genept.datasources.download.members import DAMAGE, REMEDY, capped

MAX_UNPACKED: Final = 1 << 37
"""Bytes that a streamed file may unpack to, beside the ratio: it is never held whole."""

_FROM_PUBLISHER: Final = "fetch it again from its publisher"
_GZIP: Final = b"\x1f\x8b"
_EXPORT: Final = "export it as CSV, TSV, Matrix Market, parquet or h5ad"
_FOREIGN: Final[dict[bytes | tuple[bytes, ...], str]] = {
    (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"): "is a Python pickle, which can run "
    f"code when it is opened: {_EXPORT}",
    b"\x93NUMPY": f"is a NumPy array without names (and may hold pickled objects): {_EXPORT}",
    b"X\n\0\0\0": f"is an R object (RDS): {_EXPORT} from R",
    (b"A\n2\n", b"A\n3\n"): f"is an R object (RDS, ASCII): {_EXPORT} from R",
    (b"RDX", b"RDA"): f"is an R workspace (RData): {_EXPORT} from R",
    b"BZh": "is packed with bzip2: unpack it, or pack it with gzip",
    b"\xfd7zXZ": "is packed with xz: unpack it, or pack it with gzip",
    b"\x28\xb5\x2f\xfd": "is packed with zstd: unpack it, or pack it with gzip",
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook (xls): save it as CSV",
    b"\x89HDF": "is HDF5, not text: its format must be one of HDF5 (h5ad, tenx_h5)",
    b"PAR1": "is parquet, not text: its format must be 'parquet'",
    b"PK\x03\x04": "is a zip or an Excel workbook: name the member to read, or save it as CSV",
}


Opener = Callable[[], AbstractContextManager[BinaryIO]]
"""Opens the unpacked bytes of one file, from their beginning."""


@contextmanager
def open_gzip_file(file: BinaryIO, what: str, *, limit: int | None = None) -> Iterator[BinaryIO]:
    """Unpack a gzip file of any size as it is read.

    Raises
    ------
    SourceError
        It is empty, is not gzip, is cut short, fails its CRC, has something behind its end, or
        unpacks to more than the caps allow; what is wrong at the end is found there.
    """
    packed = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(16)
    file.seek(0)
    if not head.startswith(_GZIP):
        problem = f"begins with {head!r}" if head else "is empty"
        raise SourceError(f"{what}: expected gzip, but it {problem}; {get_again(REMEDY)}")
    with gzip.GzipFile(fileobj=file) as stream:
        yield capped(cast(BinaryIO, stream), packed, what, limit)


@contextmanager
def open_bytes(path: Path, member: str | None, what: str) -> Iterator[io.BufferedReader]:
    """Stream a file, or one member of a folder, zip or tar; a gzip layer is unpacked.

    It may unpack to `MAX_UNPACKED` bytes, and to `MAX_RATIO` times its size.

    Parameters
    ----------
    path
        Local file or folder.
    member
        Path of the member, or the end of it; None: the file itself.
    what
        Name of the file for messages.

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
        raw = stack.enter_context(_contained(path, member, what))
        head = raw.peek(2)
        if not head:
            raise SourceError(f"{what}: is empty (zero bytes): {get_again(_FROM_PUBLISHER)}")
        if head.startswith(_GZIP):
            # Its packed size is not known in a tar: what came out is held against what went in.
            stream = stack.enter_context(gzip.GzipFile(fileobj=raw))
            raw = stack.enter_context(capped(cast(BinaryIO, stream), raw.tell, what, MAX_UNPACKED))
            if not raw.peek(1):
                raise SourceError(f"{what}: unpacks to nothing: {get_again(_FROM_PUBLISHER)}")
        if raw.peek(512)[:512].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
            raise SourceError(
                f"{what}: is a web page or XML, not data (it begins with "
                f"{raw.peek(24)[:24]!r}): perhaps an error or a log-in page was "
                "saved instead; open it in a browser to see"
            )
        yield raw


@contextmanager
def open_text(
    path: Path, member: str | None, what: str, *, encoding: str = "utf-8"
) -> Iterator[io.BufferedReader]:
    """Stream a text file as `open_bytes` does, if its first bytes can be text at all.

    Parameters
    ----------
    path, member, what
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
    with open_bytes(path, member, what) as stream:
        head = stream.peek(512)[:512]
        for magic, problem in _FOREIGN.items():
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
        return sorted(
            file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()
        )
    if zipfile.is_zipfile(path):
        return members.zip_names(path, what)
    if is_tar(path):
        return members.tar_names(path, what)
    return [path.name]


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
            packed = file.peek(2).startswith(_GZIP)
            unpacked = stack.enter_context(gzip.GzipFile(fileobj=file)) if packed else file
            tarfile.TarInfo.frombuf(unpacked.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
    except (*DAMAGE, OSError):
        return False
    return True


@contextmanager
def _contained(path: Path, member: str | None, what: str) -> Iterator[io.BufferedReader]:
    if path.is_dir() or member is None:
        file = _in_folder(path, member, what) if path.is_dir() else path
        with file.open("rb") as opened:
            yield opened
    elif (is_zip := zipfile.is_zipfile(path)) or is_tar(path):
        opener = members.open_zip_member if is_zip else members.open_tar_member
        with opener(path, member, what, limit=MAX_UNPACKED) as opened:
            yield opened
    else:
        with path.open("rb") as opened:
            raise SourceError(
                f"{what}: is neither a folder, a zip nor a tar, so it has no member {member!r}; it "
                f"begins with {opened.read(16)!r}"
            )


def _in_folder(folder: Path, member: str | None, what: str) -> Path:
    if member is None:
        raise SourceError(f"{what}: is a folder: name the file to read in options.member")
    names = member_names(folder, what)
    name = names[members.only_match(names, member, what)]
    if not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise SourceError(f"{what}: {name!r} is a link that leads out of it: refused")
    return folder / name
