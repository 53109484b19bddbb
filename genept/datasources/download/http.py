"""Files over HTTP: streamed, resumed where they broke off, asked for only if they changed.

What is remembered of a source beside its copy (which bytes, from where, seen when) is here too.
One attempt at one transfer is `genept.datasources.download.transfer`'s.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final, Literal, TypeVar

from filelock import FileLock
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter

from genept.common.errors import SourceError
from genept.datasources.catalog.source import CADENCES, Media, Source
from genept.datasources.download.network import Network, Place, TroubleError
from genept.datasources.download.transfer import (
    Patience,
    Transfer,
    Version,
    pieces,
    refuse_status,
    version_of,
)

MEMORY: Final = "seen.json"


@dataclass(frozen=True)
class Seen:
    """A verified copy of a source, as it was when it was last looked at.

    `stamp` is size, modification time and inode of the file at `path`: while they hold, so
    does `sha256`. `place` is the address, or mirror, that it came from.
    """

    path: str
    place: str
    sha256: str
    stamp: tuple[int, int, int]
    etag: str | None
    modified: str | None
    fetched_at: str
    checked_at: str

    @property
    def version(self) -> Version:
        """What its server called this version."""
        return Version(self.etag, self.modified)

    @property
    def released(self) -> datetime | None:
        """When the publisher last changed it, if the server said so."""
        try:
            return parsedate_to_datetime(self.modified) if self.modified else None
        except ValueError:
            return None

    def holds(self) -> bool:
        """Whether the file is still the one that was verified."""
        try:
            return stamp_of(Path(self.path)) == self.stamp
        except OSError:
            return False

    def is_due(self, source: Source) -> bool:
        """Whether it is time to ask the publisher for news."""
        cadence = CADENCES[source.refresh]
        return cadence is not None and _now() - datetime.fromisoformat(self.checked_at) >= cadence

    def checked_now(self) -> Seen:
        """The same, looked at just now and found unchanged."""
        return replace(self, checked_at=_said(_now()))


def seen_now(path: Path, place: str, sha256: str, version: Version | None = None) -> Seen:
    """Memory of a file that was verified just now."""
    now, version = _said(_now()), version or Version()
    stamp = stamp_of(path)
    return Seen(str(path), place, sha256, stamp, version.etag, version.modified, now, now)


def stamp_of(path: Path) -> tuple[int, int, int]:
    """Size, modification time and inode of a file: they change when it is replaced or written."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def recall(folder: Path, *, touched: bool = False) -> Seen | None:
    """The memory kept in `folder`, if there is one; of a `touched` file only if asked for."""
    try:
        noted = json.loads((folder / MEMORY).read_text("utf-8"))
        seen = Seen(**(noted | {"stamp": tuple(noted["stamp"])}))
    except (OSError, ValueError, TypeError, KeyError):
        return None  # without memory the file is fetched, or hashed, again
    return seen if touched or seen.holds() else None


def remember(folder: Path, seen: Seen) -> None:
    """Keep a memory in `folder`, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{MEMORY}-{os.getpid()}"
    partial.write_text(json.dumps(asdict(seen), indent=1), "utf-8")
    partial.replace(folder / MEMORY)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from fetching into `folder`; they wait, and then find it there."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        yield


State = Literal["pinned", "unchanged", "changed", "absent"]


@dataclass(frozen=True)
class Observation:
    """What a look at a source found, for at most one request.

    `data_version` changes when the source does: the SHA-256 of what is pinned or held in a
    mirror's folder, otherwise the server's ETag or date.
    """

    source_id: str
    state: State
    data_version: str
    place: str
    requests: int


def _now() -> datetime:
    return datetime.now(UTC)


def _said(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


MAX_TEXT: Final = 1 << 20

_T = TypeVar("_T")


class Web:
    """Downloads and conditional requests, with bounded patience."""

    def __init__(self, network: Network | None = None, patience: Patience | None = None) -> None:
        self.network, self.patience = network or Network(), patience or Patience()

    def probe(self, place: Place, seen: Version | None) -> Version | None:
        """One conditional request: the version that is there now, None if it is still `seen`.

        Raises
        ------
        SourceError
            It is not there, or out of reach.
        """

        def ask() -> Version | None:
            with self.network.open(place, seen.conditions() if seen else {}) as answer:
                refuse_status(answer, place, self.patience)
                now = version_of(answer)
                same = seen is not None and seen.tag is not None and seen.tag == now.tag
                return None if answer.status_code == 304 or same else now

        return self._patiently(ask)

    def text(self, place: Place) -> str:
        """A small text, such as a publisher's checksums.

        Raises
        ------
        SourceError
            It is out of reach, no UTF-8, or longer than a MiB.
        """

        def ask() -> bytes:
            body = b""
            with self.network.open(place, {}) as answer:
                refuse_status(answer, place, self.patience)
                for piece in pieces(answer, place, self.patience):
                    body += piece
                    if len(body) > MAX_TEXT:
                        raise SourceError(f"{place.name} is longer than {MAX_TEXT:,} bytes")
            return body

        try:
            return self._patiently(ask).decode()
        except UnicodeDecodeError as error:
            raise SourceError(f"{place.name} is no UTF-8 text: {error}") from error

    def download(
        self,
        place: Place,
        partial: Path,
        *,
        limit: int,
        media: Media,
        seen: Version | None = None,
        advance: Callable[[float], None] = lambda _: None,
    ) -> Version | None:
        """Stream a file to `partial`, going on where an earlier attempt broke off.

        Parameters
        ----------
        limit
            Bytes beyond which it is refused.
        seen
            Ask only for another version than this one.
        advance
            Told of bytes as they arrive.

        Returns
        -------
        Version or None
            What was downloaded; None if it is still `seen`.

        Raises
        ------
        SourceError
            It is not there, out of reach, too large, or not of this kind. What has arrived
            is kept for the next call unless it was refused.
        """
        network, patience = self.network, self.patience
        transfer = Transfer(network, patience, place, partial, limit, media, seen, advance)
        return self._patiently(transfer.attempt)

    def _patiently(self, ask: Callable[[], _T]) -> _T:
        idle = 0

        def enough(state: RetryCallState) -> bool:
            nonlocal idle
            error = state.outcome.exception() if state.outcome else None
            idle = 0 if isinstance(error, TroubleError) and error.progressed else idle + 1
            return idle >= self.patience.attempts

        backoff = wait_exponential_jitter(
            multiplier=self.patience.first_wait, max=self.patience.longest_wait,
            jitter=self.patience.first_wait,
        )  # fmt: skip

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.wait if isinstance(error, TroubleError) else 0.0
            return max(asked, backoff(state))

        attempts = Retrying(
            retry=retry_if_exception_type(TroubleError), stop=enough, wait=wait, reraise=True
        )
        return attempts(ask)
