"""Files over HTTP: downloads that resume after an interruption, and conditional requests.

A file that is not whole lies beside its version (`….partial`, `….partial.json`), so that the
next attempt, of this process or another, can go on. Which servers may be contacted is in
`genept.datasources.download.network`.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, TypeVar

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter

from genept.common import SourceError
from genept.datasources.download.network import (
    Location,
    Network,
    TransientError,
    Version,
    refuse_status,
)
from genept.datasources.download.verified_copies import HEAD, WrongBytesError, refuse_head
from genept.datasources.source import Media

MAX_TEXT: Final = 1 << 20

_T = TypeVar("_T")


@dataclass(frozen=True)
class RetryPolicy:
    """When to give up: attempts without progress, seconds between them, slowest transfer."""

    attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 120.0
    slowest: float = 1024.0  # bytes a second over one window: a trickle is no transfer
    window: float = 30.0


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
            refuse_status(answer, self.location, self.retry_policy.longest_wait)
            if answer.status_code == 304:
                return None
            now = Version.of(answer)
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
                refuse_status(answer, location, self.retry_policy.longest_wait)
                now = Version.of(answer)
                same = seen is not None and seen.tag is not None and seen.tag == now.tag
                return None if answer.status_code == 304 or same else now

        return self.with_retries(ask)

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
                refuse_status(answer, location, self.retry_policy.longest_wait)
                for piece in pieces(answer, location, self.retry_policy):
                    body += piece
                    if len(body) > MAX_TEXT:
                        raise SourceError(f"{location.name} is longer than {MAX_TEXT:,} bytes")
            return body

        try:
            return self.with_retries(ask).decode()
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
        return self.with_retries(transfer.attempt)

    def with_retries(self, ask: Callable[[], _T]) -> _T:
        """What `ask` returns; after a `TransientError` it is called again, as long as allowed."""
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
