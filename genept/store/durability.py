"""Making the embedded store's files survive a power loss.

SeaweedFS acknowledges what the operating system has, and leaves it to that when it reaches the
disk. Its files are on this machine, so they can be synchronised from outside, whoever wrote them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from genept.private_files import sync


def flush(data: Path) -> None:
    """Return once everything that the server of the folder `data` acknowledged is on disk.

    Objects' bytes come first, then the index of names that refers to them.

    Parameters
    ----------
    data
        The server's data folder.

    Raises
    ------
    OSError
        The disk failed: what was acknowledged may be lost.
    """
    for path in _in_order(data):
        with suppress(FileNotFoundError):  # compacted in the meantime: its successor is durable
            sync(path)


def _in_order(data: Path) -> Iterator[Path]:
    yield from sorted(data.glob("*.dat"))
    yield from sorted(path for path in data.iterdir() if path.suffix in {".idx", ".vif"})
    yield data
    names = data / "filerldb2"
    for folder in sorted(path for path in names.glob("*") if path.is_dir()):
        yield from sorted(path for path in folder.iterdir() if path.is_file())
        yield folder
    if names.is_dir():
        yield names
