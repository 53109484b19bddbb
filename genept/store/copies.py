"""Copies on this machine that nobody reads any more: parts, matrices laid out, what kills left.

Everything here can be fetched or laid out again. What goes from the store is
`genept.store.garbage`'s business.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

LEFT_AGE: Final = timedelta(days=1)


@dataclass(frozen=True)
class StaleCopies:
    """Files below a cache folder, and why they may go."""

    why: str
    files: tuple[Path, ...]

    @property
    def bytes(self) -> int:
        """Their size."""
        return sum(file.stat().st_size for file in self.files if file.exists())

    def delete(self) -> None:
        """Delete them; readers that have one open keep it until they close it."""
        for file in self.files:
            file.unlink(missing_ok=True)


def stale_copies(
    cache: Path, held: Collection[str], *, now: datetime, age: timedelta
) -> list[StaleCopies]:
    """Copies that may go; deletes nothing.

    Parameters
    ----------
    cache
        The folder `cache` of an installation.
    held
        SHA-256 of the files of the current release: their copies stay.
    age
        How long ago a copy must have been read or written last.
    """
    old = [
        file
        for folder in ("parts", "vectors")
        for pattern in ("*.parquet", "*.npy")
        for file in sorted((cache / folder).glob(pattern))
        if now.timestamp() - _touched(file) > age.total_seconds()
        and not file.name.startswith(".")
        and file.name.split(".")[0] not in held
    ]
    left = [file for file in _left(cache) if now.timestamp() - _touched(file) > _SECONDS]
    found = (
        StaleCopies(f"not of the current release, and not read for {age.days} days", tuple(old)),
        StaleCopies("what killed processes left half written", tuple(left)),
    )
    return [one for one in found if one.files]


_SECONDS: Final = LEFT_AGE.total_seconds()


def _left(cache: Path) -> Iterator[Path]:
    """Files that are renamed once they are whole, and those in folders for scratch."""
    for folder in ("parts", "vectors", "manifests"):
        yield from sorted((cache / folder).rglob("*.part"))
        yield from sorted(file for file in (cache / folder).glob("tmp*/*") if file.is_file())


def _touched(file: Path) -> float:
    state = file.stat()
    return max(state.st_mtime, state.st_atime)
