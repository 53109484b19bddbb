"""The archives on disk: fetched once, verified, opened member by member.

A folder of pinned files. What pip does is in `download`, how a member is
streamed in `members`, which archives there are in `catalogue`.
"""

from __future__ import annotations

import errno
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from genept.sources import members
from genept.sources.catalogue import Catalogue, Source
from genept.sources.download import disk_full, download
from genept.sources.errors import SourceError

__all__ = ["Archives", "SourceError"]


class Archives:
    """Verified local copies of the catalogue's archives.

    Parameters
    ----------
    catalogue
        What may be fetched.
    folder
        Where the files are kept; made when first needed. Several processes may share it.
    """

    def __init__(self, catalogue: Catalogue, folder: Path) -> None:
        self.catalogue = catalogue
        self.folder = folder
        self._verified: dict[str, tuple[int, int, int]] = {}

    def fetched(self, source_id: str) -> bool:
        """Whether the archive is here with its pinned size (its hash is checked on use)."""
        source = self._source(source_id)
        path = self.folder / source.filename
        return path.is_file() and path.stat().st_size == source.bytes

    def fetch(self, source_id: str) -> Path:
        """Return the verified archive; download it if it is absent or not what was pinned.

        Raises
        ------
        SourceError
            It cannot be downloaded, or what comes is not what was pinned.
        """
        source = self._source(source_id)
        path = self.folder / source.filename
        if path.is_file():
            stamp = _stamp(path)
            if self._verified.get(source_id) == stamp:
                return path
            if _mismatch(path, source) is None:
                self._verified[source_id] = stamp
                return path
            path.unlink(missing_ok=True)
        self._download(source, path)
        self._verified[source_id] = _stamp(path)
        return path

    @contextmanager
    def open_member(self, source_id: str, name: str) -> Iterator[BinaryIO]:
        """Stream one member; `name` is its path or the end of it, and must fit exactly one.

        Raises
        ------
        SourceError
            The archive cannot be had, is damaged or unsafe, or has no such member.
        """
        path = self.fetch(source_id)
        is_wheel = self._source(source_id).is_wheel
        opener = members.open_zip_member if is_wheel else members.open_tar_member
        with opener(path, name, path.name) as stream:
            yield stream

    @contextmanager
    def open_gzip_member(self, source_id: str, name: str) -> Iterator[BinaryIO]:
        """Stream the unpacked content of a gzip file that is a member; see `open_member`."""
        with (
            self.open_member(source_id, name) as packed,
            members.open_gzip(packed, f"{self._source(source_id).filename}, {name}") as stream,
        ):
            yield stream

    @contextmanager
    def open_zip_member(self, source_id: str, name: str, inner: str) -> Iterator[BinaryIO]:
        """Stream the file `inner` of a zip file that is a member; see `open_member`."""
        with self.open_member(source_id, name) as packed:
            data = BytesIO(packed.read())
        what = f"{self._source(source_id).filename}, {name}"
        with members.open_zip_member(data, inner, what) as stream:
            yield stream

    def _source(self, source_id: str) -> Source:
        try:
            return self.catalogue.sources[source_id]
        except KeyError:
            known = ", ".join(sorted(self.catalogue.sources))
            raise SourceError(f"no source {source_id!r} in the catalogue; known: {known}") from None

    def _download(self, source: Source, path: Path) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Below the folder, so that the finished file can be renamed into place.
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=self.folder) as temporary:
                file = download(source, Path(temporary))
                if problem := _mismatch(file, source):
                    raise SourceError(
                        f"{source.package} {source.version}: {problem}. Nothing was kept. "
                        "Check where pip's index configuration points, then run again"
                    )
                file.replace(path)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise disk_full(source) from error
            raise SourceError(
                f"{source.filename} cannot be kept in {self.folder}: {error}"
            ) from error


def _mismatch(path: Path, source: Source) -> str | None:
    """What is wrong with the file at `path`, if anything."""
    size = path.stat().st_size
    if size != source.bytes:
        return f"{path.name} has {size:,} bytes, expected {source.bytes:,}"
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != source.sha256:
        return f"{path.name} has SHA-256 {digest}, expected {source.sha256}"
    return None


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino
