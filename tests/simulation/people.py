"""Who collects garbage, goes back to an earlier release, allows one again, or approves a hold."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

from genept.common.errors import ConflictError, StoreError
from genept.release.approval_records import approve
from genept.release.collector import delete_garbage
from genept.release.fencing import LostClaimError
from genept.release.rollback import allow, roll_back
from simulation.excuses import names_removed, plainly, says
from simulation.network import releases_of
from simulation.process import Process
from simulation.runs import Hold, Runs
from simulation.world import World


def collecting(runs: Runs, *, alone: bool = False) -> Callable[[Process], None]:
    """List what may go, and delete what was listed a day ago.

    Parameters
    ----------
    alone
        Whether nobody else can have the claim.
    """
    world = runs.world

    def collect(process: Process) -> None:
        releases = releases_of(world, process)
        lost = world.ledger.lost if world.rng.random() < 0.5 else ()
        with plainly(world, process, lambda error: _is_claimed(error) and not alone):
            _, deleted = delete_garbage(
                releases, releases.store, runs.state_of, accepted=sorted(lost)
            )
            for one in deleted:
                kind = "release" if one.release_id else one.what.partition(" of ")[0]
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
        with plainly(
            world,
            process,
            lambda error: isinstance(error, ConflictError) and world.ledger.lost_a_race(process),
            says("nothing to undo", *CANNOT_GO_BACK),
            names_removed(world, *REMOVED),
        ):
            denied = [
                one
                for one in (world.ledger.pointer or {}).get("denied", ())
                if one["lifted_at"] is None
            ]
            if denied and world.rng.random() < 0.5:
                allow(releases, world.rng.choice(denied)["release_id"])
                world.counters["denied release allowed"] += 1
            else:
                roll_back(releases, _far_back(world), reason="simulated")
                world.counters["rolled back"] += 1


def _far_back(world: World) -> str | None:
    """Some release before the current one, for an operator who goes back by more than one."""
    ledger, rng = world.ledger, world.rng
    current = (ledger.pointer or {}).get("release_id", "")
    earlier = [one for one in sorted(ledger.history) if one < current and one not in ledger.gone]
    if not earlier or rng.random() >= world.focus.goes_far_back:
        return None
    return rng.choice((earlier[0], rng.choice(earlier)))


def go_back(world: World, process: Process) -> None:
    """Roll back by one release."""
    allowed = says("nothing to undo", *CANNOT_GO_BACK), names_removed(world, *REMOVED)
    with plainly(world, process, *allowed):
        roll_back(releases_of(world, process), reason="simulated")
        world.counters["rolled back"] += 1


def allowing(release_id: str) -> Callable[[World, Process], None]:
    """A person takes one release off the deny list."""

    def act(world: World, process: Process) -> None:
        with plainly(world, process):
            allow(releases_of(world, process), release_id)
            world.counters["denied release allowed"] += 1

    return act


STALE = ("approved already", "at the same time", "nothing is held", "current release any more",
         "became current")  # fmt: skip
"""The error for a person who approves what is not held any more."""


def approving(hold: Hold, *allowed: str) -> Callable[[World, Process], None]:
    """A person does what the message of a held run says."""

    def act(world: World, process: Process) -> None:
        releases = releases_of(world, process)
        with plainly(world, process, says(*(allowed or STALE))):
            command = re.search(r"genept release approve (.*?)--reason", hold.message)
            if command is None:
                world.ledger.violate("every hold can be resolved", f"no command: {hold.message}")
                return
            approve(releases, shlex.split(command[1]), by="simulated", reason="meant")
            world.counters["hold approved"] += 1

    return act
