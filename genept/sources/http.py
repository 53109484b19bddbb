"""Files over HTTP: streamed, resumed where they broke off, asked for only if they changed.

S3 addresses, anonymous or signed, are HTTP too. Whom to talk to is decided in `network`, a
single attempt is in `transfer`, what a body must look like in `bodies`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter

from genept.sources.errors import SourceError
from genept.sources.network import Network, Place, TroubleError
from genept.sources.source import Media
from genept.sources.transfer import (
    Patience,
    Transfer,
    Version,
    pieces,
    refuse_status,
    version_of,
)

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
