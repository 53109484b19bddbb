"""Folders and files that only this user can read, whatever the umask, written atomically.

Their contents are defined elsewhere, such as the store's keys in `genept.storage.embedded.state`.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

OTHERS = 0o077
"""Permission bits of the group and of all others."""


def private_folder(path: Path) -> Path:
    """Create a folder, or remove all permissions of other users from an existing one.

    Parameters
    ----------
    path
        The folder; missing parents are created with the permissions of the umask.

    Returns
    -------
    Path
        The same path.

    Raises
    ------
    OSError
        It cannot be created. The permissions of another user's folder are left as they are.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777
    if mode & OTHERS:
        with suppress(PermissionError):
            path.chmod(mode & ~OTHERS)
    return path


def write_privately(path: Path, content: bytes) -> None:
    """Write a file that only this user can read, atomically and durably.

    Parameters
    ----------
    path
        The file; an existing one is replaced.
    content
        The complete content.

    Raises
    ------
    OSError
        It cannot be written; an existing file is left unchanged.
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
    """Flush a file, or the entries of a folder, to disk.

    Parameters
    ----------
    path
        The file or folder.

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
