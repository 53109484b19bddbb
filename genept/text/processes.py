"""Which process on which machine: told apart without a wall clock, which may be set at any time.

A process is known by its number and by when it started, in ticks since the machine did.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from functools import cache
from pathlib import Path

import psutil

_PROC = Path("/proc")


@cache
def machine() -> str:
    """This start of this machine or container: process numbers have one meaning on it."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = (_PROC / "self/ns/pid").readlink()
    except OSError:  # no Linux
        return f"{socket.gethostname()}/{uuid.getnode():x}"
    return f"{boot}/{namespace}"


def started(pid: int) -> float | None:
    """When a process started, on a scale that no clock moves; None if it has ended or is hidden.

    On Linux in ticks since the machine started; elsewhere as the system keeps it.
    """
    if not (_PROC / "self/stat").exists():
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
    """Whether the process of this number that started then is there still, for all one can see."""
    if (seen := started(pid)) is not None:
        return seen == since
    try:
        os.kill(pid, 0)
    except PermissionError:  # another user's, hidden from this one
        return True
    except OSError:
        return False
    return False  # it has ended, and nobody has asked how


def uptime() -> float:
    """Seconds since the machine started, its sleep included where the system counts it."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
