"""Files over HTTP: downloads that resume after an interruption, and conditional requests.

The metadata that is stored beside each cached file is here, too. One attempt at one transfer is in
`genept.datasources.download.transfer`.
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

from genept.common import SourceError
from genept.datasources.catalog import CADENCES, Media, Source
from genept.datasources.download.network import Location, Network, TransientError
from genept.datasources.download.transfer import (
    RetryPolicy,
    Transfer,
    Version,
    pieces,
    refuse_status,
    version_of,
)

METADATA_FILE: Final = "seen.json"


@dataclass(frozen=True)
class CacheMetadata:
    """Metadata of a verified copy of a source, stored beside it.

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

    def is_intact(self) -> bool:
        """Whether the file is still the one that was verified."""
        try:
            return file_stamp(Path(self.path)) == self.stamp
        except OSError:
            return False

    def is_due(self, source: Source) -> bool:
        """Whether the publisher is to be queried for a new version now."""
        cadence = CADENCES[source.refresh]
        return cadence is not None and _now() - datetime.fromisoformat(self.checked_at) >= cadence

    def checked(self) -> CacheMetadata:
        """The same metadata with the current time as the time of the last check."""
        return replace(self, checked_at=_isoformat(_now()))


def new_metadata(
    path: Path, location: str, sha256: str, version: Version | None = None
) -> CacheMetadata:
    """Metadata of a file that was verified just now."""
    now, version = _isoformat(_now()), version or Version()
    stamp = file_stamp(path)
    return CacheMetadata(
        str(path), location, sha256, stamp, version.etag, version.modified, now, now
    )


def file_stamp(path: Path) -> tuple[int, int, int]:
    """Size, modification time and inode of a file: they change when it is replaced or written."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def read_metadata(folder: Path, *, touched: bool = False) -> CacheMetadata | None:
    """The metadata stored in `folder`, if any; of a modified file only with `touched`."""
    try:
        noted = json.loads((folder / METADATA_FILE).read_text("utf-8"))
        seen = CacheMetadata(**(noted | {"stamp": tuple(noted["stamp"])}))
    except (OSError, ValueError, TypeError, KeyError):
        return None  # without metadata the file is fetched, or hashed, again
    return seen if touched or seen.is_intact() else None


def write_metadata(folder: Path, seen: CacheMetadata) -> None:
    """Store metadata in `folder` atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{METADATA_FILE}-{os.getpid()}"
    partial.write_text(json.dumps(asdict(seen), indent=1), "utf-8")
    partial.replace(folder / METADATA_FILE)


@contextmanager
def exclusive_access(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder`, so that only one process downloads into it at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        yield


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


def _now() -> datetime:
    return datetime.now(UTC)


def _isoformat(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


MAX_TEXT: Final = 1 << 20

_T = TypeVar("_T")


class Web:
    """Downloads and conditional requests, with bounded retries."""

    def __init__(
        self, network: Network | None = None, retry_policy: RetryPolicy | None = None
    ) -> None:
        self.network, self.retry_policy = network or Network(), retry_policy or RetryPolicy()

    def probe(self, location: Location, seen: Version | None) -> Version | None:
        """One conditional request: the version that is there now, None if it is still `seen`.

        Raises
        ------
        SourceError
            It is not there, or out of reach.
        """

        def ask() -> Version | None:
            with self.network.open(location, seen.conditions() if seen else {}) as answer:
                refuse_status(answer, location, self.retry_policy)
                now = version_of(answer)
                same = seen is not None and seen.tag is not None and seen.tag == now.tag
                return None if answer.status_code == 304 or same else now

        return self._with_retries(ask)

    def text(self, location: Location) -> str:
        """A small text, such as a publisher's checksums.

        Raises
        ------
        SourceError
            It is out of reach, no UTF-8, or longer than a MiB.
        """

        def ask() -> bytes:
            body = b""
            with self.network.open(location, {}) as answer:
                refuse_status(answer, location, self.retry_policy)
                for piece in pieces(answer, location, self.retry_policy):
                    body += piece
                    if len(body) > MAX_TEXT:
                        raise SourceError(f"{location.name} is longer than {MAX_TEXT:,} bytes")
            return body

        try:
            return self._with_retries(ask).decode()
        except UnicodeDecodeError as error:
            raise SourceError(f"{location.name} is no UTF-8 text: {error}") from error

    def download(
        self,
        location: Location,
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
            Version that is known; the file is downloaded only if it is another.
        advance
            Called with the number of bytes of each piece as it arrives.

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
        network, retry_policy = self.network, self.retry_policy
        transfer = Transfer(network, retry_policy, location, partial, limit, media, seen, advance)
        return self._with_retries(transfer.attempt)

    def _with_retries(self, ask: Callable[[], _T]) -> _T:
        idle = 0

        def enough(state: RetryCallState) -> bool:
            nonlocal idle
            error = state.outcome.exception() if state.outcome else None
            idle = 0 if isinstance(error, TransientError) and error.progressed else idle + 1
            return idle >= self.retry_policy.attempts

        backoff = wait_exponential_jitter(
            multiplier=self.retry_policy.first_wait, max=self.retry_policy.longest_wait,
            jitter=self.retry_policy.first_wait,
        )  # fmt: skip

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            requested = error.wait if isinstance(error, TransientError) else 0.0
            return max(requested, backoff(state))

        attempts = Retrying(
            retry=retry_if_exception_type(TransientError), stop=enough, wait=wait, reraise=True
        )
        return attempts(ask)
