"""Identity of processes, and files that only this user can read.

Processes are identified without the wall clock, which may be changed at any time. Private files are
written atomically, whatever the umask; their contents are defined elsewhere, such as the store's
keys in `genept.storage.embedded_state`. Worker processes are `genept.common.workers`.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

_PROC = Path("/proc")


@cache
def machine() -> str:
    """Identity of this boot of this machine or container, within which process ids are unique.

    Returns
    -------
    str
        On Linux the id of the boot and the namespace of process ids; elsewhere name and hardware
        address of the machine.
    """
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = (_PROC / "self/ns/pid").readlink()
    except OSError:  # no Linux
        return f"{socket.gethostname()}/{uuid.getnode():x}"
    return f"{boot}/{namespace}"


def started(pid: int) -> float | None:
    """Start time of a process, independent of the wall clock.

    Parameters
    ----------
    pid
        Id of the process.

    Returns
    -------
    float or None
        On Linux in ticks since the machine started; elsewhere as the system keeps it. None if the
        process has ended or is hidden.
    """
    if not (_PROC / "self/stat").exists():
        import psutil  # a reader of releases starts no processes, and does not install it

        try:
            return psutil.Process(pid).create_time()
        except psutil.Error:
            return None
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The name, in brackets, may hold blanks and brackets; the state is field 3, the start 22.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else float(fields[19])


def is_running(pid: int, since: float) -> bool:
    """Whether a process still runs, as far as can be seen.

    Parameters
    ----------
    pid
        Id of the process.
    since
        Its start time, as `started` returned it: ids are used again.

    Returns
    -------
    bool
        True also for a hidden process of another user.
    """
    if (seen := started(pid)) is not None:
        return seen == since
    try:
        os.kill(pid, 0)  # succeeds for one that has ended and was not waited for
    except PermissionError:  # another user's, hidden from this one
        return True
    except OSError:
        pass
    return False


def uptime() -> float:
    """Time since the machine started, including sleep where the system counts it.

    Returns
    -------
    float
        Seconds.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


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
        The same path. The permissions of another user's folder are left as they are.
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
    with replacement(path) as stream:
        stream.write(content)


@contextmanager
def replacement(path: Path, mode: int = 0o600) -> Iterator[BinaryIO]:
    """Open a new file that replaces `path` once it is complete.

    Parameters
    ----------
    path
        The file to create or replace, in an existing folder.
    mode
        Its permissions, less the umask; by default only this user can read it.

    Yields
    ------
    BinaryIO
        To write the content to. If that fails, an existing file is left unchanged.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            yield stream
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
