"""One attempt at one transfer: its conditions, its range, its pace, and what is kept of it.

A file that is not whole lies beside its version (`….partial`, `….partial.json`), so that the
next attempt, of this process or another, can go on. Trying again is decided in `http`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import httpx

from genept.common import SourceError
from genept.datasources.catalog import Media
from genept.datasources.download.content_checks import HEAD, WrongBytesError, refuse_head
from genept.datasources.download.network import Location, Network, TransientError

_TEMPORARY: Final = {408, 425, 429, *range(500, 600)}


class AbsentError(SourceError):
    """The server answers, but does not have the file."""


@dataclass(frozen=True)
class Version:
    """By what a server tells one version of a file from another."""

    etag: str | None = None
    modified: str | None = None

    @property
    def tag(self) -> str | None:
        """The one value that changes with the file, if the server gives any."""
        return self.etag or self.modified

    @property
    def strong(self) -> str | None:
        """What a resumed transfer may be tied to: it changes with every byte."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified

    def conditions(self) -> dict[str, str]:
        """Headers that ask for the file only if it is another version."""
        if self.etag:
            return {"If-None-Match": self.etag}
        return {"If-Modified-Since": self.modified} if self.modified else {}


@dataclass(frozen=True)
class RetryPolicy:
    """When to give up: attempts without progress, seconds between them, slowest transfer."""

    attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 120.0
    slowest: float = 1024.0  # bytes a second over one window: a trickle is no transfer
    window: float = 30.0


def version_of(answer: httpx.Response) -> Version:
    """The version that an answer speaks of."""
    return Version(answer.headers.get("etag"), answer.headers.get("last-modified"))


def refuse_status(answer: httpx.Response, location: Location, retry_policy: RetryPolicy) -> None:
    """Turn an answer that is no file into an error.

    Raises
    ------
    TransientError
        It may be another one soon (429, 5xx).
    AbsentError
        The file is not there.
    SourceError
        It is refused, or the server wants a longer wait than we have retry_policy for.
    """
    status = answer.status_code
    if status in (200, 206, 304):
        return
    if status in (404, 410):
        raise AbsentError(f"{location.name} is not there ({status}): it may have moved")
    if status in _TEMPORARY:
        wait = _retry_after(answer.headers.get("retry-after", ""))
        if wait > retry_policy.longest_wait:
            raise SourceError(
                f"{location.name} answered {status}: it asks to come back in {wait:.0f} s"
            )
        raise TransientError(f"{location.name} answered {status}", wait=wait)
    raise SourceError(f"{location.name} answered {status} {answer.reason_phrase}: refused")


def pieces(
    answer: httpx.Response, location: Location, retry_policy: RetryPolicy
) -> Iterator[bytes]:
    """The body as it arrives, byte for byte as it is stored.

    Raises
    ------
    TransientError
        It breaks off, stands still, or trickles.
    """
    began, seen = time.monotonic(), 0
    try:
        for piece in answer.iter_raw():
            yield piece
            seen += len(piece)
            if (passed := time.monotonic() - began) >= retry_policy.window:
                if seen < retry_policy.slowest * passed:
                    raise TransientError(
                        f"{location.name}: {seen:,} bytes in {passed:.0f} s: given up"
                    )
                began, seen = time.monotonic(), 0
    except httpx.TransportError as error:
        kind = type(error).__name__
        raise TransientError(f"{location.name}: the transfer broke off ({kind} {error})") from error


@dataclass
class Transfer:
    """A file on its way to `partial`; see `Web.download` for the fields."""

    network: Network
    retry_policy: RetryPolicy
    location: Location
    partial: Path
    limit: int
    media: Media
    seen: Version | None
    advance: Callable[[float], None]
    furthest: int = 0

    def attempt(self) -> Version | None:
        """Ask once, for the rest if there is a beginning; None if it is still what was `seen`."""
        offset, version = self._begun()
        if offset and version and version.strong:
            headers = {"Range": f"bytes={offset}-", "If-Range": version.strong}
        else:
            headers = self.seen.conditions() if self.seen else {}
        with self.network.open(self.location, headers) as answer:
            if answer.status_code == 416:
                self.forget()
                raise TransientError(f"{self.location.name} has no byte {offset:,}")
            refuse_status(answer, self.location, self.retry_policy)
            if answer.status_code == 304:
                return None
            now = version_of(answer)
            offset = self._start(answer, offset, version, now)
            self._receive(answer, offset)
        return now

    def forget(self) -> None:
        """Begin anew next time."""
        self.partial.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    @property
    def _note(self) -> Path:
        return self.partial.with_name(f"{self.partial.name}.json")

    def _begun(self) -> tuple[int, Version | None]:
        try:
            noted = json.loads(self._note.read_text("utf-8"))
            if noted.pop("place") == self.location.name:
                return self.partial.stat().st_size, Version(**noted)
        except (OSError, ValueError, TypeError, KeyError):
            pass  # nothing was begun, or its version is unknown: the whole file is requested
        return 0, None

    def _start(
        self, answer: httpx.Response, offset: int, before: Version | None, now: Version
    ) -> int:
        """Where this answer's body belongs; drops the beginning if it is of another version."""
        if answer.status_code == 206:
            given = re.fullmatch(
                r"bytes (\d+)-\d+/(?:\d+|\*)", answer.headers.get("content-range", "")
            )
            if given and int(given[1]) == offset and before and before.tag == now.tag:
                return offset
            self.forget()
            raise TransientError(f"{self.location.name} changed during the transfer")
        self.forget()
        self.partial.touch()
        self._note.write_text(json.dumps(asdict(now) | {"place": self.location.name}), "utf-8")
        return 0

    def _receive(self, answer: httpx.Response, offset: int) -> None:
        length = answer.headers.get("content-length")
        total = offset + int(length) if length and length.isdigit() else None
        if total is not None and total > self.limit:
            self._refuse_size(total)
        head, size = b"", offset
        self.advance(offset)
        try:
            with self.partial.open("ab") as file:
                for piece in pieces(answer, self.location, self.retry_policy):
                    size += len(piece)
                    if size > self.limit:
                        self._refuse_size(size)
                    if offset == 0 and len(head) < HEAD:
                        head += piece[:HEAD]
                        if len(head) >= HEAD:
                            refuse_head(head[:HEAD], self.media)
                    file.write(piece)
                    self.advance(len(piece))
            if offset == 0 and len(head) < HEAD:
                refuse_head(head, self.media)
        except TransientError as error:
            # A server that always breaks off at the same byte must not be asked for ever.
            error.progressed, self.furthest = size > self.furthest, max(size, self.furthest)
            self.advance(-size)
            raise
        except WrongBytesError:
            self.forget()
            raise
        if total is not None and size != total:
            raise TransientError(f"{self.location.name}: {size:,} of {total:,} bytes came")

    def _refuse_size(self, size: int) -> None:
        self.forget()
        raise WrongBytesError(
            f"{self.location.name}: {size:,} bytes or more, but its catalogue entry accepts "
            f"{self.limit:,} at most: refused. If the publisher's file grew, raise `bytes`"
        )


def _retry_after(value: str) -> float:
    """Seconds that a server asks for, as a number or as a date; 0 for none."""
    if value.isdigit():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return max(0.0, (when.astimezone(UTC) - datetime.now(UTC)).total_seconds())
