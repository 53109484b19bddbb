"""Which errors of readers and people are no violation: the network's, and those that say why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from genept.common.errors import StoreError
from simulation.process import Process
from simulation.world import World


@contextmanager
def plainly(
    world: World, process: Process, *allowed: Callable[[StoreError], bool]
) -> Iterator[None]:
    """Errors of readers and people: the network's are excused, and those that are allowed."""
    try:
        yield
    except StoreError as error:
        world.tell(process.name, f"fails: {type(error).__name__}: {error}")
        if not process.is_excused(error) and not any(allows(error) for allows in allowed):
            world.ledger.violate(
                f"{process.name.partition('-')[0]} fails only for a reason",
                f"{process.name}: {type(error).__name__}: {error}",
            )


def says(*parts: str) -> Callable[[StoreError], bool]:
    """Allows errors whose text has one of these parts."""
    return lambda error: any(part in str(error) for part in parts)


def names_removed(world: World, *parts: str) -> Callable[[StoreError], bool]:
    """Allows errors that name a release which was collected, or whose manifest was lost.

    Parameters
    ----------
    parts
        The text must have one of these parts as well, if there are any.
    """

    def allows(error: StoreError) -> bool:
        removed = world.ledger.lost | world.ledger.gone
        text = str(error)
        return any(one in text for one in removed) and (
            not parts or any(part in text for part in parts)
        )

    return allows
