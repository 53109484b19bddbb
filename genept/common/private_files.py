"""Folders and files for this user's eyes only, whatever the umask, and written to survive.

What is kept in them belongs to their owners: the store's keys to `genept.storage.embedded.state`,
the state folder to `genept.common.settings`.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

OTHERS = 0o077
"""The rights of the group and of everybody."""


def private_folder(path: Path) -> Path:
    """Make the folder, or take the rights of everybody else away from one that is there.

    Parameters
    ----------
    path
        The folder; missing parents are made as the umask says.

    Returns
    -------
    Path
        The same path.

    Raises
    ------
    OSError
        It cannot be made. A folder of somebody else, such as a mounted volume, is left as it is.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777
    if mode & OTHERS:
        with suppress(PermissionError):
            path.chmod(mode & ~OTHERS)
    return path


def write_privately(path: Path, content: bytes) -> None:
    """Write a file that only this user may read: whole or not at all, also after a power loss.

    Parameters
    ----------
    path
        The file; what is there before is replaced at once.
    content
        All of it.

    Raises
    ------
    OSError
        It cannot be written; what was there before is left.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """Make durable what a file, or a folder's list of files, holds, whoever wrote it.

    Raises
    ------
    OSError
        The disk failed, or the file is gone.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
