"""A remote file read by ranges: only what is asked for travels, and is kept for the next time.

Every answer must be the requested range of the one version that was there when the file was
opened. Which servers may be contacted is in `network`, how ranges are kept in `segments`.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import httpx

from genept.common import SourceError
from genept.datasources.download.http import Web, pieces
from genept.datasources.download.network import (
    Location,
    Network,
    TransientError,
    Version,
    refuse_status,
)
from genept.datasources.download.segments import (
    OPENED,
    OpenedVersion,
    RangedCopy,
    Segments,
    Span,
    content_range,
    opened_before,
    requests_for,
)
from genept.datasources.download.verified_copies import refuse_head
from genept.datasources.source import Source

_FIRST: Final = 16 << 10
"""Bytes that are requested when a file is opened."""
N_THREADS: Final = 8
_IN_MEMORY: Final = 4 << 20
"""Bytes of answers in memory at the same time: what a killed process has to fetch again."""


class Ranged(Protocol):
    """A file of which ranges can be had."""

    @property
    def copy(self) -> RangedCopy:
        """What of it is here."""

    def ensure(self, spans: Sequence[Span], /, *, n_threads: int = N_THREADS) -> None:
        """Have these ranges here; raises `SourceError` if they cannot be had."""


@dataclass
class _Request:
    start: int
    stop: int
    received: bytearray = field(default_factory=bytearray)


class RemoteFile:
    """A source that is read by ranges; opened with one request, or none if it was opened before.

    Parameters
    ----------
    source
        Its entry of the catalogue.
    locations
        Where it may be, in order.
    web
        HTTP client.
    folder
        Where its ranges are kept.
    refresh
        Open the version that is there now, even if one was opened before.

    Raises
    ------
    SourceError
        No location has it, or none gives ranges of a file of which it can tell the version.
    """

    def __init__(
        self,
        source: Source,
        locations: Sequence[Location],
        web: Web,
        folder: Path,
        *,
        refresh: bool = False,
    ) -> None:
        self._source, self._folder = source, folder
        self._web = web
        known = None if refresh else opened_before(folder)
        problems = []
        for location in locations:
            try:
                is_known = known is not None and known.place == location.name
                head = b"" if is_known else self._web.with_retries(partial(self._open, location))
                break
            except SourceError as error:
                problems.append(str(error))
        else:
            reasons = "; ".join(problems) or "it has no public address"
            raise SourceError(
                f"source {source.id} cannot be read by ranges: {reasons}. Check the network, or "
                f"download it whole with `genept sources fetch {source.id}` (at most "
                f"{source.bytes:,} bytes), or put it into a folder that GENEPT_MIRRORS names"
            )
        self._location = location
        if known is not None and is_known:
            self.opened = known
        self._segments = Segments(self.copy.folder)
        if head:
            self._keep([(0, head)])
            self._remember()

    @property
    def copy(self) -> RangedCopy:
        """What of it is here."""
        version = self.opened.sha256
        folder = self._folder / version[:16]
        return RangedCopy(folder, self._source.filename, self.opened.size, version)

    def ensure(self, spans: Sequence[Span], /, *, n_threads: int = N_THREADS) -> None:
        """Have ranges here: what is missing, or damaged on disk, is requested.

        Parameters
        ----------
        spans
            First byte, and the one after the last, of each.
        n_threads
            Requests at the same time. One is made in the calling thread itself: whoever holds a
            lock that others may need, as HDF5's is while it reads, must not wait for threads.

        Raises
        ------
        SourceError
            They cannot be had, or the file is not the one that was opened any more. What has
            arrived is kept.
        """
        self._segments.refresh()
        self._segments.drop_damaged(spans)
        wanted = requests_for(self._segments.missing(spans))
        with self._web.network.kept_alive() as network:
            for batch in _batches(wanted):
                try:
                    if n_threads == 1:
                        for request in batch:
                            self._fetch(network, request)
                    else:
                        with ThreadPoolExecutor(n_threads, "genept-ranges") as pool:
                            futures = [pool.submit(self._fetch, network, it) for it in batch]
                            done, left = wait(futures, return_when=FIRST_EXCEPTION)
                            for future in left:  # where one is refused, no more are made
                                future.cancel()
                        for future in done:
                            future.result()
                finally:  # what came until then is paid for
                    self._keep([(it.start, bytes(it.received)) for it in batch])

    def _keep(self, parts: Sequence[tuple[int, bytes]]) -> None:
        try:
            self._segments.add(parts)
        except OSError as error:
            raise SourceError(
                f"{self._source.filename}: what came cannot be kept in {self.copy.folder}: "
                f"{error}. Free some space, or move GENEPT_STATE_DIR, then run again"
            ) from error

    def _fetch(self, network: Network, request: _Request) -> None:
        self._web.with_retries(partial(self._receive, network, request))

    def _receive(self, network: Network, request: _Request) -> None:
        """Request what is still missing; an answer that breaks off is kept as far as it came."""
        start, before = request.start + len(request.received), len(request.received)
        with network.open(self._location, self._headers(start, request.stop)) as answer:
            refuse_status(answer, self._location, self._web.retry_policy.longest_wait)
            self._refuse_other(answer, start, request.stop)
            try:
                for piece in pieces(answer, self._location, self._web.retry_policy):
                    request.received += piece
                    if request.start + len(request.received) > request.stop:
                        del request.received[before:]
                        raise SourceError(
                            f"{self._location.name}: more came than bytes {start:,} to "
                            f"{request.stop - 1:,}: refused"
                        )
                if request.start + len(request.received) < request.stop:
                    raise TransientError(
                        f"{self._location.name}: {len(request.received) - before:,} of "
                        f"{request.stop - start:,} bytes came"
                    )
            except TransientError as error:
                error.progressed = len(request.received) > before
                raise

    def _headers(self, start: int, stop: int) -> dict[str, str]:
        return {"Range": f"bytes={start}-{stop - 1}", "If-Range": str(self.opened.version.strong)}

    def _refuse_other(self, answer: httpx.Response, start: int, stop: int) -> None:
        """Refuse what is not this range of this version, before any of it is read."""
        now, name = Version.of(answer), self._location.name
        given = answer.headers.get("content-range", "")
        size = content_range(given)[2] if answer.status_code == 206 else self.opened.size
        if now != self.opened.version or size != self.opened.size:
            (self._folder / OPENED).unlink(missing_ok=True)
            raise SourceError(
                f"{name} changed while it was read by ranges (it was {self.opened.version.tag}, "
                f"{self.opened.size:,} bytes, and is {now.tag}): nothing of the two is mixed. Run "
                "again: the new version is then read from its beginning"
            )
        if answer.status_code != 206:
            raise SourceError(_without_ranges(name, answer.status_code))
        if (packed := answer.headers.get("content-encoding", "identity")) != "identity":
            raise SourceError(f"{name}: its bytes came packed ({packed}), unasked: refused")
        if given != f"bytes {start}-{stop - 1}/{self.opened.size}":
            raise SourceError(
                f"{name}: asked for bytes {start}-{stop - 1}, and {given or 'no range'} came: "
                "refused"
            )

    def _open(self, location: Location) -> bytes:
        """The first bytes, by which the version and the size become known."""
        with self._web.network.open(location, {"Range": f"bytes=0-{_FIRST - 1}"}) as answer:
            refuse_status(answer, location, self._web.retry_policy.longest_wait)
            if answer.status_code != 206:
                raise SourceError(_without_ranges(location.name, answer.status_code))
            first, last, size = content_range(answer.headers.get("content-range", ""))
            if first != 0 or last != min(_FIRST, size) - 1:
                raise SourceError(f"{location.name}: asked for its first bytes, and others came")
            version = Version.of(answer)
            if version.strong is None:
                raise SourceError(
                    f"{location.name}: its server states neither an ETag nor a date, so that a "
                    "change while it is read would not be seen: it is not read by ranges"
                )
            if size > self._source.bytes:
                raise SourceError(
                    f"{location.name}: has {size:,} bytes, but its catalogue entry accepts "
                    f"{self._source.bytes:,} at most. If the publisher's file grew, raise `bytes`"
                )
            head = b"".join(pieces(answer, location, self._web.retry_policy))
        if len(head) != last + 1:
            raise TransientError(f"{location.name}: {len(head):,} of {last + 1:,} bytes came")
        refuse_head(head, self._source.kind)
        self.opened = OpenedVersion(location.name, version.etag, version.modified, size)
        return head

    def _remember(self) -> None:
        """Keep which version was opened; ranges of others go."""
        for other in self._folder.iterdir():
            if other.is_dir() and other != self.copy.folder:
                shutil.rmtree(other)
        partial = self._folder / f".{OPENED}"
        partial.write_text(json.dumps(asdict(self.opened)), "utf-8")
        partial.replace(self._folder / OPENED)


def _without_ranges(name: str, status: int) -> str:
    return f"{name}: its server answered {status} instead of a range (206): it sends whole files"


def _batches(spans: Sequence[Span]) -> Iterator[list[_Request]]:
    """Requests in order, as many at a time as fit into memory."""
    batch: list[_Request] = []
    held = 0
    for start, stop in spans:
        if batch and held + stop - start > _IN_MEMORY:
            yield batch
            batch, held = [], 0
        batch.append(_Request(start, stop))
        held += stop - start
    if batch:
        yield batch
