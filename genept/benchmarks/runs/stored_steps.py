"""Steps of benchmarks: stored ones are recalled, new ones computed, by several processes.

A step is stored as soon as it is ready, so a run that was killed goes on where it was. Every step
computes in one thread, so that the number of processes changes no result.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from genept.benchmarks.fitted_heads import in_one_thread
from genept.common import Workers, give_memory_back
from genept.storage import Lake, LocalCopies, NewPart, Origin, Part, PartReader

Advance = Callable[[str, float], None]

AT_ONCE: Final = 4
"""Requests for records under way at the same time."""


@dataclass(frozen=True)
class Step:
    """What is computed from parts of tables and stored, by a process of its own.

    Parameters
    ----------
    name
        Name of the step in the lake.
    title
        What is shown while it runs.
    origin
        Code, inputs and settings that decide the result.
    reads
        Parts that are read.
    compute
        Picklable; computes the parts from local copies of what is read.
    is_long
        Whether it takes far longer than others: these are begun first, so that no process waits
        for the last one.
    """

    name: str
    title: str
    origin: Origin
    reads: tuple[Part, ...]
    compute: Callable[[PartReader], list[NewPart]]
    is_long: bool = False


def run_steps(
    lake: Lake, steps: Sequence[Step], workers: Workers, advance: Advance
) -> list[list[Part]]:
    """Compute the steps that the lake does not hold.

    Parameters
    ----------
    lake
        Where parts are read and stored.
    steps
        The steps; none reads what another one computes.
    workers
        Processes.
    advance
        Called with the title of the first step that is not stored, then of each that was, and the
        share of steps that are.

    Returns
    -------
    list of list of Part
        The parts of each step, in the order of `steps`.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:  # a record and its parts are looked up by requests
        stored = pool.map(lambda step: lake.known(step.name, step.origin), steps)
        parts: dict[int, list[Part] | None] = dict(enumerate(stored))
    new = [at for at, known in parts.items() if known is None]
    new.sort(key=lambda at: not steps[at].is_long)

    def sent(at: int) -> tuple[Step, LocalCopies]:
        for part in steps[at].reads:
            lake.local(part)
        return steps[at], LocalCopies(lake.cache)

    share = (len(steps) - len(new)) / max(len(steps), 1)
    if new:
        advance(steps[new[0]].title, share)
    for n, (at, computed) in enumerate(workers.completed(_compute, map(sent, new))):
        step = steps[new[at]]
        parts[new[at]] = lake.build(step.name, step.origin, partial(list, computed))
        advance(step.title, share + (n + 1) / len(steps))
    return [parts[at] or [] for at in range(len(steps))]


def _compute(task: tuple[Step, PartReader]) -> list[NewPart]:
    step, copies = task
    try:
        with in_one_thread():
            return step.compute(copies)
    finally:
        give_memory_back()  # a worker would keep its largest step's, while the next is a small one
