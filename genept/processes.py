"""Worker processes for shards of work: spawned, few, and never many results ahead.

Who has shards to hand out, and what they are, is the business of the rooms.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 2
"""Shards a worker may be ahead of whoever takes the results."""


def in_processes(
    work: Callable[[Task], Result], tasks: Sequence[Task], processes: int
) -> Iterator[Result]:
    """Results of `work` in the order of `tasks`, computed by spawned processes.

    One task, or one process, is worked in this process. Tasks, results and `work`
    must be picklable; an exception of a worker is raised here, and ends the others.
    """
    if processes < 2 or len(tasks) < 2:
        yield from map(work, tasks)
        return
    context = multiprocessing.get_context("spawn")
    waiting = deque(tasks)
    running: deque[Future[Result]] = deque()
    with ProcessPoolExecutor(min(processes, len(tasks)), mp_context=context) as pool:
        try:
            while waiting or running:
                while waiting and len(running) < processes * AHEAD:
                    running.append(pool.submit(work, waiting.popleft()))
                yield running.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
