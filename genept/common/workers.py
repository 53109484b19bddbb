"""Worker processes: spawned, a few tasks ahead of the results that were taken.

What they work on is in the modules that use them.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import chain, islice
from multiprocessing.connection import wait as wait_for
from threading import Thread
from typing import TypeVar

from genept.common.memory import keep_memory


def _begin_worker() -> None:
    """Prepare a worker: it keeps memory, and ends with the process that started it.

    A worker of a killed process would else wait for ever to hand over its result.
    """
    keep_memory()
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 2
"""Shards per worker that may be submitted before their results are taken."""


class Workers:
    """Pool of spawned worker processes, started with the first task or by `begin`.

    With one process, or inside a daemonic process (a worker of Dask), tasks run in this process.

    Parameters
    ----------
    processes
        Number of worker processes.
    """

    def __init__(self, processes: int) -> None:
        may_spawn = processes > 1 and not multiprocessing.current_process().daemon
        self._processes = processes if may_spawn else 1
        self._pool: ProcessPoolExecutor | None = None

    def begin(self, ready: Callable[[], None]) -> None:
        """Start all processes and have each call `ready`, which imports what tasks need."""
        if self._processes > 1:
            for _ in range(self._processes):
                self._started().submit(ready)

    def results(self, work: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Yield results of `work` in the order of `tasks`, which are consumed lazily.

        Parameters
        ----------
        work
            Function of one task, picklable; an exception that it raises is raised here.
        tasks
            Picklable arguments. A single task runs in this process.
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

    def completed(
        self, work: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[tuple[int, Result]]:
        """Yield results of `work` as they are ready: a long task keeps no other waiting.

        Parameters
        ----------
        work, tasks
            As of `results`.

        Yields
        ------
        tuple of int and Result
            Position of a task, and its result.
        """
        waiting = iter(enumerate(tasks))
        first = list(islice(waiting, 2))
        if self._processes < 2 or len(first) < 2:
            for at, task in chain(first, waiting):
                yield at, work(task)
            return
        running: dict[Future[Result], int] = {}
        for at, task in chain(first, waiting):
            running[self._started().submit(work, task)] = at
            if len(running) == self._processes * AHEAD:
                yield from self._ready(running)
        while running:
            yield from self._ready(running)

    @staticmethod
    def _ready(running: dict[Future[Result], int]) -> Iterator[tuple[int, Result]]:
        """Take what is ready out of `running`; waits until something is."""
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in sorted(done, key=running.__getitem__):
            yield running.pop(future), future.result()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes; pending tasks are cancelled."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                self._processes, mp_context=context, initializer=_begin_worker
            )
        return self._pool
