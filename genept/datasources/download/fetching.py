"""Getting one source to disk and looking for news of it: place by place, verified, remembered.

Decides when to ask and whom; *how* to ask is in `http`, what is pinned through pip in
`download`, and who wants the file in `archives`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.progress import DownloadColumn

from genept.common.display import console, progress_bar
from genept.common.errors import SourceError
from genept.datasources.catalog.source import PublishedChecksum, Source
from genept.datasources.download.content_checks import (
    WrongBytesError,
    published_digest,
    refuse_file,
)
from genept.datasources.download.http import (
    Observation,
    Seen,
    State,
    Web,
    alone_in,
    recall,
    remember,
    seen_now,
)
from genept.datasources.download.mirrors import Places
from genept.datasources.download.network import Place
from genept.datasources.download.transfer import Version


class Fetcher:
    """Fetches sources into one folder each below `folder`.

    A file in a mirror's folder is used where it lies. What was verified is not hashed again
    while its size, date and inode stay; an unpinned file is asked after when it is due.
    """

    def __init__(self, folder: Path, places: Places, web: Web) -> None:
        self.folder, self.places, self.web = folder, places, web

    def fetch(self, source: Source, *, refresh: bool = False) -> Seen:
        """The verified copy of a source, downloaded if need be.

        Parameters
        ----------
        refresh
            Ask for news even if it is not due.

        Raises
        ------
        SourceError
            No place has it, or none has what the catalogue promises; says what each one said.
        """
        home = self.home(source)
        complaints: list[str] = []
        seen = recall(home)
        for place in self.places.of(source):
            if isinstance(place, Path) and (
                found := self._in_place(source, place, seen, complaints)
            ):
                return found
        if seen is not None and self._still_good(source, seen, refresh=refresh):
            return seen
        with alone_in(home):
            seen = recall(home)  # another process may have fetched it while we waited
            if seen is not None and self._still_good(source, seen, refresh=refresh):
                return seen
            return self._from_afar(source, seen, complaints)

    def recalled(self, source: Source) -> Seen | None:
        """What is known of the copy on this disk; asks nobody."""
        return recall(self.home(source))

    def observe(self, source: Source) -> Observation:
        """Look for news with at most one request; none for what is pinned or in a folder.

        Raises
        ------
        SourceError
            No place has it.
        """
        if source.is_pinned:
            return Observation(source.id, "pinned", source.sha256, "the catalogue", 0)
        before, seen = recall(self.home(source), touched=True), recall(self.home(source))
        complaints: list[str] = []
        requests = 0
        for place in self.places.of(source):
            if isinstance(place, Path):
                if (found := self._in_place(source, place, seen, complaints)) is not None:
                    same = before is not None and before.sha256 == found.sha256
                    state: State = "unchanged" if same else _news(before)
                    return Observation(source.id, state, found.sha256, found.place, requests)
                continue
            requests += 1
            known = seen if seen is not None and seen.place == place.name else None
            try:
                news = self.web.probe(place, known.version if known else None)
            except SourceError as error:
                complaints.append(str(error))
                continue
            if news is None and known is not None:
                remember(self.home(source), known.checked_now())
                tag = known.version.tag or known.sha256
                return Observation(source.id, "unchanged", tag, place.name, requests)
            tag = (news.tag if news else None) or (known.sha256 if known else "unversioned")
            return Observation(source.id, _news(before), tag, place.name, requests)
        raise _nowhere(source, complaints)

    def home(self, source: Source) -> Path:
        """Folder of a source's copy and of what is remembered of it."""
        return self.folder / source.id.replace(":", "/")

    def _still_good(self, source: Source, seen: Seen, *, refresh: bool) -> bool:
        if source.is_pinned:
            return seen.sha256 == source.sha256
        named = [place.name for place in self.places.of(source) if isinstance(place, Place)]
        return seen.place in named and not refresh and not seen.is_due(source)

    def _in_place(
        self, source: Source, path: Path, seen: Seen | None, complaints: list[str]
    ) -> Seen | None:
        """A file of a mirror's folder, if it is there and right."""
        if not path.is_file():
            return None
        right = seen is not None and (not source.is_pinned or seen.sha256 == source.sha256)
        if seen is not None and right and seen.path == str(path):
            return seen
        try:
            sha256 = refuse_file(path, source)
        except (WrongBytesError, OSError) as error:
            complaints.append(f"{path}: {error}")
            console.print(f"Warning: {source.id}: {path} is passed over: {error}", markup=False)
            return None
        found = seen_now(path, str(path), sha256)
        remember(self.home(source), found)
        return found

    def _from_afar(self, source: Source, seen: Seen | None, complaints: list[str]) -> Seen:
        for place in self._remote(source):
            known = seen if seen is not None and seen.place == place.name else None
            try:
                return self._download(source, place, known)
            except SourceError as error:
                complaints.append(str(error))
        if seen is not None and not source.is_pinned:
            console.print(
                f"Warning: {source.id} could not be asked for news; the copy of {seen.fetched_at} "
                f"is used. {'; '.join(complaints)}",
                markup=False,
            )
            return seen
        raise _nowhere(source, complaints)

    def _remote(self, source: Source) -> Iterator[Place]:
        return (place for place in self.places.of(source) if isinstance(place, Place))

    def _download(self, source: Source, place: Place, known: Seen | None) -> Seen:
        """From one place: once more if the bytes are wrong, then never."""
        home = self.home(source)
        path, partial = home / source.filename, home / f"{source.filename}.partial"
        for attempt in (1, 2):
            try:
                version = self._transfer(source, place, partial, known.version if known else None)
                if version is None and known is not None:
                    remember(home, known.checked_now())
                    return known.checked_now()
                sha256 = refuse_file(partial, source, self._published(source, place))
                break
            except WrongBytesError as error:
                partial.unlink(missing_ok=True)
                if attempt == 2:
                    raise SourceError(
                        f"{place.name}: {error} (fetched twice). Nothing kept"
                    ) from error
        partial.replace(path)
        found = seen_now(path, place.name, sha256, version)
        remember(home, found)
        partial.with_name(f"{partial.name}.json").unlink(missing_ok=True)
        return found

    def _transfer(
        self, source: Source, place: Place, partial: Path, known: Version | None
    ) -> Version | None:
        expected = source.bytes if source.is_pinned else None
        with progress_bar(source.label, expected, count=DownloadColumn()) as advance:
            return self.web.download(
                place,
                partial,
                limit=source.bytes,
                media=source.kind,
                seen=known,
                advance=advance,
            )

    def _published(self, source: Source, place: Place) -> str | None:
        """The digest that the publisher states, if he does."""
        beside = self.places.checksum(source, place)
        if beside is None or not isinstance(source.checksum, PublishedChecksum):
            return None
        published_name = (source.address or "").rsplit("/", 1)[-1]
        return published_digest(self.web.text(beside), source.checksum, published_name)


def _news(seen: Seen | None) -> State:
    return "absent" if seen is None else "changed"


def _nowhere(source: Source, complaints: list[str]) -> SourceError:
    if not complaints:
        complaints = ["no mirror has it, and it has no public address"]
    return SourceError(
        f"source {source.id} cannot be had: {'; '.join(complaints)}. Check the network, or put the "
        "file into a folder and name that in GENEPT_MIRRORS (see docs/sources.md)"
    )
