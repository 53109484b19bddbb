"""Processes: worker processes for shards of work, how they allocate memory, and which one is which.

Workers are spawned, few, and never many results ahead. A process is identified without the
wall clock, which may be set at any time.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import socket
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from functools import cache
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar

import psutil
import pyarrow as pa

_M_TRIM_THRESHOLD: Final = -1

_M_MMAP_MAX: Final = -4

_NEVER: Final = 2**31 - 1


def keep_memory() -> None:
    """Keep freed memory in this process, where the C library is glibc; else do nothing.

    A shard's arrays are too large for the allocators' own stock: each would be mapped, filled with
    zeros by the kernel, and given back, which took a tenth of the processor time of an ingest.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, _NEVER)


Task = TypeVar("Task")

Result = TypeVar("Result")


AHEAD = 2
"""Shards a worker may be ahead of whoever takes the results."""


class Workers:
    """Spawned processes for shards, begun with the first of them or, by `begin`, before.

    One process, and whoever may have no children (a worker of Dask), works by itself.
    """

    def __init__(self, processes: int) -> None:
        may_spawn = processes > 1 and not multiprocessing.current_process().daemon
        self._processes = processes if may_spawn else 1
        self._pool: ProcessPoolExecutor | None = None

    def begin(self, ready: Callable[[], None]) -> None:
        """Have all processes call `ready`, which imports what their work will need."""
        if self._processes > 1:
            for _ in range(self._processes):
                self._started().submit(ready)

    def results(self, work: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Results of `work` in the order of `tasks`, which are drawn as they are begun.

        A single task is worked in this process. Tasks, their results and `work` must be
        picklable; an exception of a worker is raised here.
        """
        waiting = iter(tasks)
        first = list(islice(waiting, 2))
        if self._processes < 2 or len(first) < 2:
            yield from map(work, chain(first, waiting))
            return
        running: deque[Future[Result]] = deque()
        for task in chain(first, waiting):
            running.append(self._started().submit(work, task))
            if len(running) == self._processes * AHEAD:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes, and what they hold in memory; whatever was not begun never is."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                self._processes, mp_context=context, initializer=keep_memory
            )
        return self._pool


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
