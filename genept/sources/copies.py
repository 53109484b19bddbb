"""What is remembered of a source beside its copy: which bytes, from where, seen when.

A small JSON document, replaced as a whole. It spares the hashing of a file that has not been
touched, and it lets the next request ask "has it changed?" instead of "give me all of it".
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final, Literal

from filelock import FileLock

from genept.sources.source import CADENCES, Source
from genept.sources.transfer import Version

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
