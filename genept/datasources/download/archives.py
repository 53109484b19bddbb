"""Sources on local disk: downloaded, verified, and opened as a whole or member by member.

The interface of this package for all others. Downloads are made in `fetching` and `mirrors`,
members are streamed in `members`; which sources there are is in the catalogue.
"""

import errno
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from genept.common import SourceError, console
from genept.datasources.catalogue import Catalogue
from genept.datasources.download import members
from genept.datasources.download.fetching import Fetcher, SourceProbe, UnavailableSourceError
from genept.datasources.download.http import Web
from genept.datasources.download.mirrors import SourceLocations, disk_full, download
from genept.datasources.download.network import Location
from genept.datasources.download.ranges import Ranged, RemoteFile
from genept.datasources.download.streams import open_bytes, open_gzip_file
from genept.datasources.download.verified_copies import (
    CacheMetadata,
    WrongBytesError,
    file_stamp,
    refuse_file,
)
from genept.datasources.source import Source


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
    ranged
        By source id, files that are read by ranges, and already open.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        folder: Path,
        *,
        locations: SourceLocations | None = None,
        web: Web | None = None,
        ranged: Mapping[str, Ranged] | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.folder = folder
        self.locations = locations or SourceLocations()
        if unknown := sorted(set(self.locations.addresses) - set(catalogue.sources)):
            raise SourceError(f"GENEPT_ADDRESSES names sources that do not exist: {unknown}")
        self._web = web or Web()
        self._fetcher = Fetcher(folder, self.locations, self._web)
        self._ranged: dict[str, Ranged] = dict(ranged or {})
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
        source = self.catalogue.source(source_id)
        return self.is_cached(source_id) if source.is_package else self._fetcher.is_here(source)

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

    def ranged(self, source_id: str, *, refresh: bool = False) -> Ranged | None:
        """The file of a source that is read by ranges; opened if need be, with one request.

        Parameters
        ----------
        source_id
            Id in the catalogue, or `entry:value`.
        refresh
            Open the version that is there now.

        Returns
        -------
        Ranged or None
            None if the source is to be fetched: it is here as a whole, or its entry does not say
            `ranges`.

        Raises
        ------
        SourceError
            It is out of reach, or its server gives no ranges.
        """
        source = self.catalogue.source(source_id)
        if source_id in self._ranged and not refresh:
            return self._ranged[source_id]
        if not source.ranges or self.is_available(source_id):
            return None
        remote = [place for place in self.locations.of(source) if isinstance(place, Location)]
        folder = self._fetcher.source_folder(source) / "ranges"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".lock"):
                opened = RemoteFile(source, remote, self._web, folder, refresh=refresh)
        except OSError as error:
            raise self._not_kept(source, error) from error
        self._ranged[source_id] = opened
        return opened

    def obtain(self, source_id: str, *, refresh: bool = False) -> None:
        """Have a source ready to be read: fetched, or open if it is read by ranges."""
        if self.ranged(source_id, refresh=refresh) is None:
            self.fetch(source_id, refresh=refresh)

    def data_version(self, source_id: str) -> str:
        """SHA-256 of a source's bytes: its pin, or that of its copy, fetched if need be.

        Of a file that is read by ranges, of its address, size, ETag and date.
        """
        source = self.catalogue.source(source_id)
        if source.is_pinned:
            return source.sha256
        ranged = self.ranged(source_id)
        return ranged.copy.version if ranged is not None else self._public(source).sha256

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
        if source.kind == "text":
            with open_bytes(path, None, path.name) as unpacked:
                yield unpacked
            return
        with path.open("rb") as file:
            if source.kind != "gzip":
                yield file
                return
            with open_gzip_file(file, path.name, limit=source.unpacked_bytes) as stream:
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
    def open_nested(self, source_id: str, name: str, inner: str = "") -> Iterator[BinaryIO]:
        """Stream what a gzip, or the file `inner` of a zip, holds that is a member itself."""
        with self.open_member(source_id, name) as packed:
            data = BytesIO(packed.read())
        what = f"{self.catalogue.source(source_id).filename}, {name}"
        opened = members.open_zip_member(data, inner, what) if inner else open_gzip_file(data, what)
        with opened as stream:
            yield stream

    def _package(self, source: Source) -> Path:
        path = self.folder / source.filename
        if path.is_file():
            stamp = file_stamp(path)
            try:
                if self._verified.get(source.id) != stamp:
                    refuse_file(path, source)
            except WrongBytesError:
                path.unlink(missing_ok=True)
            else:
                self._verified[source.id] = stamp
                return path
        if self.locations.mirrors:
            try:
                return Path(self._public(source).path)
            except SourceError as error:
                problems = [str(error)]
                if isinstance(error, UnavailableSourceError):
                    problems = error.problems
                why = f" ({'; '.join(problems)})" if problems else ""
                console.print(
                    f"{source.label} is in no mirror{why}: it is downloaded with pip", markup=False
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
                refuse_file(file, source)
                file.replace(path)
        except WrongBytesError as error:
            raise SourceError(
                f"{source.label}: {error}. Nothing was kept. Check where pip's index "
                "configuration points, then run again"
            ) from error
        except OSError as error:
            raise self._not_kept(source, error) from error

    def _not_kept(self, source: Source, error: OSError) -> SourceError:
        if error.errno == errno.ENOSPC:
            return disk_full(source)
        return SourceError(f"{source.filename} cannot be kept in {self.folder}: {error}")
