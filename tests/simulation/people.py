"""People who collect garbage, roll back, allow a denied release again, or approve a hold."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

from genept.common.errors import ConflictError, StoreError
from genept.release.approval_records import approve
from genept.release.collector import delete_garbage
from genept.release.fencing import LostClaimError
from genept.release.rollback import allow, roll_back
from simulation.excuses import mentions, names_removed, only_excused_errors
from simulation.network import releases_of
from simulation.process import Process
from simulation.runs import Hold, Runs
from simulation.world import World


def collecting(runs: Runs, *, alone: bool = False) -> Callable[[Process], None]:
    """List garbage, and delete what was listed a day ago.

    Parameters
    ----------
    alone
        Whether no other process can have the claim.
    """
    world = runs.world

    def collect(process: Process) -> None:
        releases = releases_of(world, process)
        accepted = world.ledger.lost if world.rng.random() < 0.5 else ()
        with only_excused_errors(world, process, lambda error: _is_claimed(error) and not alone):
            _, deleted = delete_garbage(
                releases, releases.store, runs.state_of, accepted=sorted(accepted)
            )
            for item in deleted:
                kind = "release" if item.release_id else item.what.partition(" of ")[0]
                world.counters[f"garbage deleted: {kind}"] += 1

    def act(process: Process) -> None:
        collect(process)
        for _ in range(0 if alone else world.rng.randint(0, 2)):  # as the message says
            world.suspend(process, world.rng.randint(20, 200))
            world.pause(process)
            collect(process)

    return act


def _is_claimed(error: StoreError) -> bool:
    return isinstance(error, LostClaimError)


CANNOT_GO_BACK = (
    "is not an earlier release",
    "is the only release",
    "there is no earlier release",
    "has the content of",
    "is not denied",
    "garbage collection is deleting",
)
REMOVED = ("there is no", "no release", "is damaged")
"""Errors for a release that was collected, or lost, since it was listed."""


def operate(world: World, process: Process) -> None:
    """Roll back, or take a denied release off the list, once or several times."""
    releases = releases_of(world, process)
    for _ in range(world.rng.randint(1, 3)):
        with only_excused_errors(
            world,
            process,
            lambda error: isinstance(error, ConflictError) and world.ledger.lost_a_race(process),
            mentions("nothing to undo", *CANNOT_GO_BACK),
            names_removed(world, *REMOVED),
        ):
            denied = [
                denial
                for denial in (world.ledger.pointer or {}).get("denied", ())
                if denial["lifted_at"] is None
            ]
            if denied and world.rng.random() < 0.5:
                allow(releases, world.rng.choice(denied)["release_id"])
                world.counters["denied release allowed"] += 1
            else:
                roll_back(releases, _far_back(world), reason="simulated")
                world.counters["rolled back"] += 1


def _far_back(world: World) -> str | None:
    """A release before the current one, for an operator who rolls back by more than one."""
    ledger, rng = world.ledger, world.rng
    current = (ledger.pointer or {}).get("release_id", "")
    earlier = [
        release_id
        for release_id in sorted(ledger.history)
        if release_id < current and release_id not in ledger.collected
    ]
    if not earlier or rng.random() >= world.focus.far_rollback:
        return None
    return rng.choice((earlier[0], rng.choice(earlier)))


def go_back(world: World, process: Process) -> None:
    """Roll back by one release."""
    allowed = mentions("nothing to undo", *CANNOT_GO_BACK), names_removed(world, *REMOVED)
    with only_excused_errors(world, process, *allowed):
        roll_back(releases_of(world, process), reason="simulated")
        world.counters["rolled back"] += 1


def allowing(release_id: str) -> Callable[[World, Process], None]:
    """A person who takes one release off the deny list."""

    def act(world: World, process: Process) -> None:
        with only_excused_errors(world, process):
            allow(releases_of(world, process), release_id)
            world.counters["denied release allowed"] += 1

    return act


STALE = ("approved already", "at the same time", "nothing is held", "current release any more",
         "became current")  # fmt: skip
"""Errors for a person who approves a hold that no longer exists."""


def approving(hold: Hold, *allowed: str) -> Callable[[World, Process], None]:
    """A person who runs the command in the message of a held run."""

    def act(world: World, process: Process) -> None:
        releases = releases_of(world, process)
        with only_excused_errors(world, process, mentions(*(allowed or STALE))):
            command = re.search(r"genept release approve (.*?)--reason", hold.message)
            if command is None:
                world.ledger.violate("every hold can be resolved", f"no command: {hold.message}")
                return
            approve(releases, shlex.split(command[1]), by="simulated", reason="meant")
            world.counters["hold approved"] += 1

    return act
