"""Steps of benchmarks: stored ones are recalled, new ones computed, by several processes.

A step is stored as soon as it is ready, so a run that was killed goes on where it was. Every step
computes in one thread, so that the number of processes changes no result.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from genept.benchmarks.fitted_heads import in_one_thread
from genept.common import Workers
from genept.storage import Lake, LocalCopies, NewPart, Origin, Part, PartReader

Advance = Callable[[str, float], None]


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
    """

    name: str
    title: str
    origin: Origin
    reads: tuple[Part, ...]
    compute: Callable[[PartReader], list[NewPart]]


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
        Called with the title of the next step that is not stored, and the share that is.

    Returns
    -------
    list of list of Part
        The parts of each step, in the order of `steps`.
    """
    parts = {at: lake.known(step.name, step.origin) for at, step in enumerate(steps)}
    new = [at for at, stored in parts.items() if stored is None]

    def sent(at: int) -> tuple[Step, LocalCopies]:
        for part in steps[at].reads:
            lake.local(part)
        return steps[at], LocalCopies(lake.cache)

    computed = workers.results(_compute, map(sent, new))
    for n, at in enumerate(new):
        step = steps[at]
        advance(step.title, (len(steps) - len(new) + n) / len(steps))
        parts[at] = lake.build(step.name, step.origin, partial(list, next(computed)))
    return [parts[at] or [] for at in range(len(steps))]


def _compute(task: tuple[Step, PartReader]) -> list[NewPart]:
    step, copies = task
    with in_one_thread():
        return step.compute(copies)
