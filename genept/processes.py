"""Worker processes for shards of work: spawned, few, and never many results ahead.

Who has shards to hand out, and what they are, is the business of the rooms.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain, islice
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 2
"""Shards a worker may be ahead of whoever takes the results."""


def in_processes(
    work: Callable[[Task], Result], tasks: Iterable[Task], processes: int
) -> Iterator[Result]:
    """Results of `work` in the order of `tasks`, computed by spawned processes.

    One task, or one process, is worked in this process, and so is everything where this
    process may have no children (a worker of Dask). Tasks are drawn as they are begun. They,
    their results and `work` must be picklable; an exception of a worker is raised here, and
    ends the others.
    """
    waiting = iter(tasks)
    first = list(islice(waiting, 2))
    if processes < 2 or len(first) < 2 or multiprocessing.current_process().daemon:
        yield from map(work, chain(first, waiting))
        return
    context = multiprocessing.get_context("spawn")
    running: deque[Future[Result]] = deque()
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        try:
            for task in chain(first, waiting):
                running.append(pool.submit(work, task))
                if len(running) == processes * AHEAD:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
