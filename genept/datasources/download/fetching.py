"""Download of one source: its locations in order, verification, metadata, checks for updates.

Decides when which location is requested. Requests are made in `http`, pinned packages are
downloaded in `mirrors`, and callers use `genept.datasources.download.archives`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock
from rich.progress import DownloadColumn

from genept.common import SourceError, console, progress_bar
from genept.datasources.download.http import Web
from genept.datasources.download.mirrors import SourceLocations
from genept.datasources.download.network import Location
from genept.datasources.download.verified_copies import (
    CacheMetadata,
    WrongBytesError,
    published_digest,
    read_metadata,
    refuse_file,
    write_metadata,
)
from genept.datasources.source import PublishedChecksum, Source

ProbeState = Literal["pinned", "unchanged", "changed", "absent"]


@dataclass(frozen=True)
class SourceProbe:
    """Result of checking a source for a new version, with at most one request.

    `data_version` changes when the source does: the SHA-256 of what is pinned or held in a
    mirror's folder, otherwise the server's ETag or date.
    """

    source_id: str
    state: ProbeState
    data_version: str
    place: str
    requests: int


class UnavailableSourceError(SourceError):
    """No location has a source; `problems` says why, a sentence for each that was tried."""

    def __init__(self, source: Source, problems: list[str]) -> None:
        self.problems = problems
        reasons = "; ".join(problems) or "no mirror has it, and it has no public address"
        super().__init__(
            f"source {source.id} cannot be had: {reasons}. Check the network, or put the "
            "file into a folder and name that in GENEPT_MIRRORS (see docs/sources.md)"
        )


class Fetcher:
    """Fetches sources into one folder each below `folder`.

    A file in a mirror's folder is used in place. A verified file is not hashed again while its
    size, modification time and inode stay; an unpinned one is checked when its cadence says so.
    """

    def __init__(self, folder: Path, locations: SourceLocations, web: Web) -> None:
        self.folder, self.locations, self.web = folder, locations, web

    def fetch(self, source: Source, *, refresh: bool = False) -> CacheMetadata:
        """The verified copy of a source, downloaded if need be.

        Parameters
        ----------
        refresh
            Check for a new version even if it is not due.

        Raises
        ------
        UnavailableSourceError
            No location has the file that the catalogue describes; lists the problem of each.
        """
        folder = self.source_folder(source)
        problems: list[str] = []
        seen = read_metadata(folder)
        for location in self.locations.of(source):
            if isinstance(location, Path) and (
                metadata := self._from_folder(source, location, seen, problems)
            ):
                return metadata
        if seen is not None and self._still_good(source, seen, refresh=refresh):
            return seen
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):  # one process at a time downloads into it
            seen = read_metadata(folder)  # another process may have fetched it while we waited
            if seen is not None and self._still_good(source, seen, refresh=refresh):
                return seen
            return self._from_remote(source, seen, problems)

    def cached(self, source: Source) -> CacheMetadata | None:
        """Metadata of the local copy; makes no request."""
        return read_metadata(self.source_folder(source))

    def is_here(self, source: Source) -> bool:
        """Whether there is a copy, or a file in a mirror's folder; makes no request.

        The file of a folder that is no mirror any more does not count.
        """
        folders = (each for each in self.locations.of(source) if isinstance(each, Path))
        if any(location.is_file() for location in folders):
            return True
        seen = self.cached(source)
        return seen is not None and Path(seen.path).is_relative_to(self.folder)

    def probe(self, source: Source) -> SourceProbe:
        """Check for a new version with at most one request; none for pinned files and folders.

        Raises
        ------
        UnavailableSourceError
            No location has it.
        """
        if source.is_pinned:
            return SourceProbe(source.id, "pinned", source.sha256, "the catalogue", 0)
        folder = self.source_folder(source)
        before = read_metadata(folder, touched=True)
        seen = before if before is not None and before.is_intact() else None
        changed: ProbeState = "absent" if before is None else "changed"
        problems: list[str] = []
        requests = 0
        for location in self.locations.of(source):
            if isinstance(location, Path):
                if (metadata := self._from_folder(source, location, seen, problems)) is not None:
                    same = before is not None and before.sha256 == metadata.sha256
                    state = "unchanged" if same else changed
                    return SourceProbe(source.id, state, metadata.sha256, metadata.place, requests)
                continue
            requests += 1
            known = seen if seen is not None and seen.place == location.name else None
            try:
                version = self.web.probe(location, known.version if known else None)
            except SourceError as error:
                problems.append(str(error))
                continue
            if known is None:
                tag = (version.tag if version else None) or "unversioned"
                return SourceProbe(source.id, changed, tag, location.name, requests)
            if version is None:
                write_metadata(folder, known.checked())
            state, version = ("changed", version) if version else ("unchanged", known.version)
            tag = version.tag or known.sha256
            return SourceProbe(source.id, state, tag, location.name, requests)
        raise UnavailableSourceError(source, problems)

    def source_folder(self, source: Source) -> Path:
        """Folder of a source's copy and its metadata."""
        return self.folder / source.id.replace(":", "/")

    def _still_good(self, source: Source, seen: CacheMetadata, *, refresh: bool) -> bool:
        if source.is_pinned:
            return seen.sha256 == source.sha256
        named = (location.name for location in self._remote(source))
        return seen.place in named and not refresh and not seen.is_due(source)

    def _from_folder(
        self, source: Source, path: Path, seen: CacheMetadata | None, problems: list[str]
    ) -> CacheMetadata | None:
        """A file of a mirror's folder, if it is there and right."""
        if not path.is_file():
            return None
        right = seen is not None and (not source.is_pinned or seen.sha256 == source.sha256)
        if seen is not None and right and seen.path == str(path):
            return seen
        try:
            sha256 = refuse_file(path, source)
        except (WrongBytesError, OSError) as error:
            problems.append(f"{path}: {error}")
            console.print(f"Warning: {source.id}: {path} is passed over: {error}", markup=False)
            return None
        return write_metadata(self.source_folder(source), CacheMetadata.of(path, str(path), sha256))

    def _from_remote(
        self, source: Source, seen: CacheMetadata | None, problems: list[str]
    ) -> CacheMetadata:
        for location in self._remote(source):
            known = seen if seen is not None and seen.place == location.name else None
            try:
                return self._download(source, location, known)
            except SourceError as error:
                problems.append(str(error))
        if seen is not None and not source.is_pinned:
            console.print(
                f"Warning: {source.id} could not be checked for a new version; the copy of "
                f"{seen.fetched_at} is used. {'; '.join(problems)}",
                markup=False,
            )
            return seen
        raise UnavailableSourceError(source, problems)

    def _remote(self, source: Source) -> list[Location]:
        return [place for place in self.locations.of(source) if isinstance(place, Location)]

    def _download(
        self, source: Source, location: Location, known: CacheMetadata | None
    ) -> CacheMetadata:
        """Download from one location; wrong content is downloaded once more, then refused."""
        folder = self.source_folder(source)
        partial = folder / f"{source.filename}.partial"
        expected = source.bytes if source.is_pinned else None
        for attempt in (1, 2):
            try:
                with progress_bar(source.label, expected, count=DownloadColumn()) as advance:
                    version = self.web.download(
                        location,
                        partial,
                        limit=source.bytes,
                        media=source.kind,
                        seen=known.version if known else None,
                        advance=advance,
                    )
                if version is None and known is not None:
                    return write_metadata(folder, known.checked())
                sha256 = refuse_file(partial, source, self._published_digest(source, location))
                break
            except WrongBytesError as error:
                partial.unlink(missing_ok=True)
                if attempt == 2:
                    raise SourceError(
                        f"{location.name}: {error} (fetched twice). Nothing kept"
                    ) from error
        path = partial.replace(folder / source.filename)
        partial.with_name(f"{partial.name}.json").unlink(missing_ok=True)
        return write_metadata(folder, CacheMetadata.of(path, location.name, sha256, version))

    def _published_digest(self, source: Source, location: Location) -> str | None:
        """The digest that the publisher states, if any."""
        beside = self.locations.checksum(source, location)
        if beside is None or not isinstance(source.checksum, PublishedChecksum):
            return None
        published_name = (source.address or "").rsplit("/", 1)[-1]
        return published_digest(self.web.text(beside), source.checksum, published_name)
