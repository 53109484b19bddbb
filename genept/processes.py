"""Worker processes for shards of work: spawned, few, and never many results ahead.

Who has shards to hand out, and what they are, is the business of the rooms.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain, islice
from types import TracebackType
from typing import TypeVar

from genept.allocation import keep_memory

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
