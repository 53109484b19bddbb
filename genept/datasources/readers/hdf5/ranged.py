"""An HDF5 file of which only some ranges are here, as a stream that h5py reads; and its chunks.

The places of chunks are read from the file itself, whatever its index: reads that find bytes
missing are repeated once these have come, those of all chunks at the same time. (HDF5 tells the
place of one chunk, `get_chunk_info_by_coord`, by going through the index of all that are before
it; reading one goes down the index.) What the datasets mean belongs to `archs4`; where bytes come
from, to `genept.datasources.download`.
"""

import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypeVar

import h5py

from genept.common import SourceError
from genept.datasources.download import N_THREADS, Ranged, RangedCopy, Segments, Span

_AHEAD: Final = 16 << 10
"""Bytes that are fetched for a read that is not the continuation of another."""
_FARTHEST: Final = 2 << 20
"""Bytes that are fetched for one that continues others: it doubles up to this."""
_LEAST: Final = 2 << 10
"""Bytes that are fetched for a read of texts: what is beside them is often needed next."""
_AT_ONCE: Final = 1 << 16
_MOST_ROUNDS: Final = 1_000
"""Levels of the index of chunks, some six; or pieces of one run of texts."""

_T = TypeVar("_T")


class MissingBytesError(SourceError):
    """Bytes are not here, and nobody may fetch them now."""


class RangedStream(io.RawIOBase):
    """The file as h5py reads it: from what is here, and, if it may be fetched, from what is not.

    Parameters
    ----------
    copy
        What is here; or a file of which ranges can be had.

    Attributes
    ----------
    missed, n_missed
        Ranges that were read while nothing was fetched, and are not here; and how often.
    failure
        Why bytes could not be had, if so.
    """

    def __init__(self, copy: RangedCopy | Ranged) -> None:
        self._remote = None if isinstance(copy, RangedCopy) else copy
        self._copy = copy if isinstance(copy, RangedCopy) else copy.copy
        self._segments = Segments(self._copy.folder)
        self._position, self._fetches = 0, self._remote is not None
        self._ahead: dict[int, int] = {}
        self.missed: set[Span] = set()
        self.n_missed = 0
        self.failure: SourceError | None = None

    @property
    def name(self) -> str:
        """Name of the file."""
        return self._copy.name

    def __repr__(self) -> str:
        """The name, by which h5py calls the file."""
        return self._copy.name

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def seekable(self) -> bool:
        """Whether its position can be moved."""
        return True

    def tell(self) -> int:
        """Position of the next read."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move the position."""
        starts = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._copy.size}
        self._position = starts[whence] + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer from the position on, up to the end of the file."""
        view = memoryview(buffer).cast("B")
        start = self._position
        stop = max(start, min(start + len(view), self._copy.size))
        content = self._segments.read(start, stop)
        if content is None:
            content = self._fetched(start, stop)
        view[: len(content)] = content
        self._position += len(content)
        return len(content)

    @contextmanager
    def offline(self) -> Iterator[None]:
        """Fetch nothing in the meantime: `missed` says what would have been."""
        self._fetches, before = False, self._fetches
        try:
            yield
        finally:
            self._fetches = before

    def fetch(self, spans: Iterable[Span], *, n_threads: int = N_THREADS) -> None:
        """Have ranges here, several of them at the same time."""
        if self._remote is None:
            raise MissingBytesError(f"{self.name}: bytes of it are missing here")
        size = self._copy.size
        self._remote.ensure(
            [(start, min(stop, size)) for start, stop in spans], n_threads=n_threads
        )
        self._segments.refresh()

    def _fetched(self, start: int, stop: int) -> bytes:
        if not self._fetches:
            self.missed.add((start, stop))
            self.n_missed += 1
            raise MissingBytesError(
                f"{self.name}: bytes {start:,} to {stop - 1:,} are not here, or were changed on "
                "disk: run again, and they are fetched anew"
            )
        try:
            # What continues an earlier read is likely to go on.
            ahead = min(2 * self._ahead.pop(start, _AHEAD // 2), _FARTHEST)
            end = min(max(stop, start + ahead), self._copy.size)
            self.fetch([(start, end)], n_threads=1)  # HDF5's lock is held meanwhile
            self._ahead[end] = ahead
            content = self._segments.read(start, stop)
        except SourceError as error:
            self.failure = error
            raise
        if content is None:
            self.failure = SourceError(
                f"{self.name}: bytes that came are not those on disk a moment later: check the disk"
            )
            raise self.failure
        return content


def fetch_chunks(
    dataset: h5py.Dataset, stream: RangedStream, coordinates: Sequence[tuple[int, ...]]
) -> tuple[int, int]:
    """Have chunks of a dataset here: exactly their bytes, and the index on the way to them.

    Parameters
    ----------
    dataset
        Of the file that is open on the stream.
    stream
        The file.
    coordinates
        The first element of each chunk.

    Returns
    -------
    n : int
        How many of them are stored; others hold the fill value.
    n_bytes : int
        What they have stored.

    Raises
    ------
    SourceError
        Bytes cannot be had, or the index of the chunks has no end.
    """
    sizes = fetch_reads(
        stream,
        [partial(_stored_size, dataset, coordinate) for coordinate in coordinates],
        least=0,
    )
    stored = [size for size in sizes if size]
    return len(stored), sum(stored)


def _stored_size(dataset: h5py.Dataset, coordinate: tuple[int, ...]) -> int:
    """Bytes of a chunk."""
    return len(dataset.id.read_direct_chunk(coordinate)[1])


def fetch_reads(
    stream: RangedStream, reads: Sequence[Callable[[], _T]], *, least: int = _LEAST
) -> list[_T | None]:
    """Have here what reads of the file need, all of them at the same time.

    Each is tried with what is here; what is missing then is fetched for all of them at once, and
    they are tried again, until nothing is missing.

    Parameters
    ----------
    stream
        The file.
    reads
        Called without arguments.
    least
        Bytes that are fetched for each that are missing.

    Returns
    -------
    list
        What each returned; None if it fails although nothing is missing.

    Raises
    ------
    SourceError
        Bytes cannot be had, or a read never ends.
    """
    results: list[_T | None] = [None] * len(reads)
    for first in range(0, len(reads), _AT_ONCE):
        pending = list(range(first, min(first + _AT_ONCE, len(reads))))
        for _ in range(_MOST_ROUNDS):
            pending = _tried(stream, reads, pending, results)
            if not pending:
                break
            stream.fetch((start, max(stop, start + least)) for start, stop in stream.missed)
        else:
            raise SourceError(f"{stream.name}: a read of it does not end: it is damaged")
    return results


def _tried(
    stream: RangedStream,
    reads: Sequence[Callable[[], _T]],
    pending: Sequence[int],
    results: list[_T | None],
) -> list[int]:
    """Try reads with what is here; those of which something is missing."""
    left = []
    stream.missed.clear()
    with stream.offline():
        for position in pending:
            before = stream.n_missed
            try:
                results[position] = reads[position]()
            except (OSError, RuntimeError, ValueError, KeyError):
                if stream.n_missed > before:
                    left.append(position)
    return left
