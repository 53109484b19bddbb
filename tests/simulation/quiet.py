"""Phases without faults, in which contents are published one after the other.

Each simulation begins and ends with one. Its beginning is simulated once for some neighbouring
seeds, which all continue from there.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from simulation.library import Content, in_world, new_content, other_values
from simulation.people import allowing, approving, collecting, go_back
from simulation.process import Process
from simulation.runs import Runs
from simulation.world import World

SHARED_BY = 20
"""Number of neighbouring seeds that have the same beginning."""


@dataclass(frozen=True)
class Beginning:
    """Some releases, published long ago or recently, and the contents that runs build."""

    runs: Runs
    contents: tuple[Content, ...]

    def continue_in(self, runs: Runs) -> None:
        """Let another world begin with the state of this one."""
        past, world = self.runs.world, runs.world
        world.bucket.objects.update(past.bucket.objects)
        world.now, world.last_number = past.now, past.last_number
        for field in fields(past.ledger):
            if field.name != "world":
                setattr(world.ledger, field.name, copy(getattr(past.ledger, field.name)))
        world.ledger.runs = {name: replace(run) for name, run in past.ledger.runs.items()}
        runs.holds = list(self.runs.holds)


def begin(number: int, folder: Path) -> Beginning:
    """Simulate one beginning."""
    world = World(-1 - number, folder)
    runs, rng = Runs(world), world.rng
    contents = [new_content(rng) for _ in range(3)]
    if rng.random() < 0.4:
        contents[1] = other_values(contents[0])
    gap = timedelta(hours=rng.choice((1, 48, 48, 31 * 24)))
    with in_world(world), world.calm():
        content = contents[0]
        for _ in range(rng.choice((0, 3, 6, 8))):
            content = rng.choice([other for other in contents if other != content] or contents)
            converge(runs, content)
            world.pass_time(gap)
        for _ in range(rng.choice((0, 0, 0, 2))):
            run_alone(world, "operator", partial(go_back, world))
        if rng.random() < 0.8:
            world.pass_time(timedelta(days=rng.choice((8, 31, 31, 31))))
            run_alone(world, "collector", collecting(runs, alone=True))
            world.pass_time(timedelta(days=2))
    return Beginning(runs, tuple(contents))


def converge(runs: Runs, content: Content) -> None:
    """Publish this content, following the messages of the library."""
    world, ledger = runs.world, runs.ledger
    for _ in range(6):
        if ledger.violations:
            return
        holds = len(runs.holds)
        run = runs.start(content)
        world.run_processes()
        if run.state == "done":
            return
        if len(runs.holds) > holds:
            run_alone(world, "approver", partial(approving(runs.holds[-1], "\0"), world))
            continue
        denied = [
            denial["release_id"]
            for denial in (ledger.pointer or {}).get("denied", ())
            if denial["lifted_at"] is None and denial["data_version"] == content.version
        ]
        if denied:
            run_alone(world, "operator", partial(allowing(denied[0]), world))
        else:  # a dead collector counts as running for some minutes, as the message says
            world.pass_time(timedelta(minutes=20))
    if not ledger.violations:
        ledger.violate("every content can be published in the end", str(content))


def run_alone(world: World, name: str, body: Callable[[Process], None]) -> None:
    """Run a process to its end while no other process runs."""
    world.start(name, body)
    world.run_processes()
