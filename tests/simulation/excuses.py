"""Errors of readers and people that are no violation: of the network, or with a known reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from genept.common.errors import StoreError
from simulation.process import Process
from simulation.world import World


@contextmanager
def only_excused_errors(
    world: World, process: Process, *allowed: Callable[[StoreError], bool]
) -> Iterator[None]:
    """Report errors of readers and people, unless the network caused them or they are allowed."""
    try:
        yield
    except StoreError as error:
        world.log(process.name, f"fails: {type(error).__name__}: {error}")
        if not process.is_excused(error) and not any(allows(error) for allows in allowed):
            world.ledger.violate(
                f"{process.name.partition('-')[0]} fails only for a reason",
                f"{process.name}: {type(error).__name__}: {error}",
            )


def mentions(*parts: str) -> Callable[[StoreError], bool]:
    """A predicate for errors whose text has one of these parts."""
    return lambda error: any(part in str(error) for part in parts)


def names_removed(world: World, *parts: str) -> Callable[[StoreError], bool]:
    """A predicate for errors that name a release which was collected, or lost its manifest.

    Parameters
    ----------
    parts
        The text must have one of these parts as well, if there are any.
    """

    def allows(error: StoreError) -> bool:
        removed = world.ledger.lost | world.ledger.collected
        text = str(error)
        return any(release_id in text for release_id in removed) and (
            not parts or any(part in text for part in parts)
        )

    return allows
