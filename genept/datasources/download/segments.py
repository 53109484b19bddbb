"""Byte ranges of one version of a remote file, kept on disk: what was fetched once is not again.

Two files that only grow: `bytes`, the ranges one after the other as they came, and `index`, a
record for each of them, written after its bytes: a killed process leaves nothing wrong. Which
ranges are requested is in `ranges`.
"""

import hashlib
import json
import os
import struct
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final

from filelock import FileLock

from genept.datasources.download.network import Version

Span = tuple[int, int]
"""The first byte of a range, and the one after its last."""

OPENED: Final = "opened.json"
"""File that says which version was opened."""

_RECORD: Final = struct.Struct("<QQI16s")
_LONGEST: Final = 128 << 10
"""Bytes of a segment, which is read and hashed as a whole."""
_IN_MEMORY: Final = 16 << 20
_REQUEST: Final = 512 << 10
"""Bytes of one request, at most."""
_WASTE: Final = 0.02
"""Share of bytes between ranges that may be fetched along, for fewer requests."""


@dataclass(frozen=True)
class RangedCopy:
    """A file of which only some ranges are here.

    Parameters
    ----------
    folder
        Where they are.
    name
        The file's name, for messages.
    size
        Bytes of the whole file.
    version
        Hash of what tells this version of the file from others.
    """

    folder: Path
    name: str
    size: int
    version: str


@dataclass(frozen=True)
class OpenedVersion:
    """Which file was opened: its address, what tells its versions apart, its size in bytes."""

    place: str
    etag: str | None
    modified: str | None
    size: int

    @property
    def version(self) -> Version:
        """What its server calls this version."""
        return Version(self.etag, self.modified)

    @property
    def sha256(self) -> str:
        """Hash of what tells this version from others; not of the bytes, most of which stay."""
        stated = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(stated.encode()).hexdigest()


@dataclass(frozen=True)
class _Segment:
    start: int
    position: int
    length: int
    digest: bytes

    @property
    def stop(self) -> int:
        return self.start + self.length


class Segments:
    """The ranges that are here; each is hashed again when it is read from disk.

    Parameters
    ----------
    folder
        Where they are; several processes may share it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._seen = folder, 0
        self._starts: list[int] = []
        self._segments: dict[int, _Segment] = {}
        self._loaded: OrderedDict[int, bytes] = OrderedDict()
        self._held = 0
        self.refresh()

    def refresh(self) -> None:
        """Take note of what was added since, by this process or another."""
        try:
            with (self._folder / "index").open("rb") as file:
                file.seek(self._seen * _RECORD.size)
                new = file.read()
        except FileNotFoundError:
            return
        whole = len(new) // _RECORD.size  # the last one may be of a process that was killed
        for record in _RECORD.iter_unpack(new[: whole * _RECORD.size]):
            self._segments[record[0]] = _Segment(*record)
        if whole:
            self._seen += whole
            self._starts = sorted(self._segments)  # in a few runs, which is fast

    def missing(self, spans: Iterable[Span]) -> list[Span]:
        """The parts of ranges that are not here, ascending and disjoint."""
        gaps: list[Span] = []
        done = 0
        for start, stop in sorted(spans):
            at = max(start, done)
            while at < stop:
                if (segment := self._around(at)) is not None:
                    at = segment.stop
                    continue
                following = bisect_right(self._starts, at)
                end = min([stop, *self._starts[following : following + 1]])
                if gaps and gaps[-1][1] == at:
                    gaps[-1] = (gaps[-1][0], end)
                else:
                    gaps.append((at, end))
                at = end
            done = max(done, stop)
        return gaps

    def read(self, start: int, stop: int) -> bytes | None:
        """The bytes of a range; None if some of them are not here, or damaged on disk."""
        parts = []
        while start < stop:
            segment = self._around(start)
            content = None if segment is None else self._content(segment)
            if segment is None or content is None:
                return None
            parts.append(content[start - segment.start : stop - segment.start])
            start += len(parts[-1])
        return b"".join(parts)

    def add(self, parts: Sequence[tuple[int, bytes]]) -> None:
        """Keep ranges: the first byte and the content of each. What is here already is skipped."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / ".lock"):
            self.refresh()
            with (self._folder / "bytes").open("ab") as content:
                records: list[bytes] = []
                for start, body in _disjoint(parts):
                    for first, last in self.missing([(start, start + len(body))]):
                        records += _written(content, first, body[first - start : last - start])
            descriptor = os.open(self._folder / "index", os.O_RDWR | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "r+b") as index:
                index.truncate(self._seen * _RECORD.size)
                index.seek(0, os.SEEK_END)
                index.write(b"".join(records))
            self.refresh()

    def drop_damaged(self, spans: Iterable[Span]) -> None:
        """Forget what is damaged on disk within ranges: it is missing from now on."""
        for start, stop in spans:
            at = start
            while at < stop and (segment := self._around(at)) is not None:
                self._content(segment)
                at = segment.stop

    def _around(self, at: int) -> _Segment | None:
        """The segment that has a byte."""
        before = bisect_right(self._starts, at) - 1
        segment = self._segments[self._starts[before]] if before >= 0 else None
        return segment if segment is not None and at < segment.stop else None

    def _content(self, segment: _Segment) -> bytes | None:
        if segment.start in self._loaded:
            self._loaded.move_to_end(segment.start)
            return self._loaded[segment.start]
        with (self._folder / "bytes").open("rb") as file:
            file.seek(segment.position)
            content = file.read(segment.length)
        if _digest(segment.start, content) != segment.digest:
            del self._segments[segment.start]
            self._starts.remove(segment.start)
            return None
        self._loaded[segment.start] = content
        self._held += len(content)
        while self._held > _IN_MEMORY:
            self._held -= len(self._loaded.popitem(last=False)[1])
        return content


def opened_before(folder: Path) -> OpenedVersion | None:
    """Which version was opened before, in a folder of ranges; None if there was none."""
    try:
        return OpenedVersion(**json.loads((folder / OPENED).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def requests_for(missing: Sequence[Span]) -> list[Span]:
    """Ranges to request for what is missing: fewer and larger ones, with little between them.

    Parameters
    ----------
    missing
        Ascending and disjoint.

    Returns
    -------
    list of Span
        They cover what is missing. The smallest gaps are closed, as long as what is fetched in
        vain stays below 2 % of all; none is longer than half a MiB.
    """
    budget = _WASTE * sum(stop - start for start, stop in missing)
    gaps = [after[0] - before[1] for before, after in pairwise(missing)]
    closed = set[int]()
    for position in sorted(range(len(gaps)), key=gaps.__getitem__):
        budget -= gaps[position]
        if budget < 0:
            break
        closed.add(position)
    joined: list[Span] = []
    for position, (start, stop) in enumerate(missing):
        if position - 1 in closed and joined:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return [
        (first, min(first + _REQUEST, stop))
        for start, stop in joined
        for first in range(start, stop, _REQUEST)
    ]


def content_range(text: str) -> tuple[int, int, int]:
    """First byte, last byte and size of the whole, out of a header; -1 if it has none."""
    unit, _, rest = text.partition(" ")
    span, _, size = rest.partition("/")
    first, _, last = span.partition("-")
    if unit != "bytes" or not (first.isdigit() and last.isdigit() and size.isdigit()):
        return -1, -1, -1
    return int(first), int(last), int(size)


def _disjoint(parts: Sequence[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """The same parts in order, without what is in two of them."""
    done = 0
    for start, body in sorted(parts):
        if new := body[max(0, done - start) :]:
            yield start + len(body) - len(new), new
        done = max(done, start + len(body))


def _written(content: BinaryIO, start: int, body: bytes) -> Iterator[bytes]:
    """Append bytes; yield a record for each segment of them."""
    for first in range(0, len(body), _LONGEST):
        part, position = body[first : first + _LONGEST], content.seek(0, os.SEEK_END)
        content.write(part)
        yield _RECORD.pack(start + first, position, len(part), _digest(start + first, part))


def _digest(start: int, content: bytes) -> bytes:
    """A hash of bytes and of where they belong."""
    return hashlib.blake2b(start.to_bytes(8, "little") + content, digest_size=16).digest()
