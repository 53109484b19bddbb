"""What happens when nothing fails: contents are published one after the other.

A life begins and ends so. Its beginning is lived once for some neighbouring seeds, whose lives
all go on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from simulation.library import Content, inhabited, new_content, other_values
from simulation.people import allowing, approving, collecting, go_back
from simulation.process import Process
from simulation.runs import Runs
from simulation.world import World

SHARED_BY = 20
"""So many neighbouring seeds have the same beginning."""


@dataclass(frozen=True)
class Beginning:
    """Some releases, published long ago or lately, and the contents that runs build."""

    runs: Runs
    contents: tuple[Content, ...]

    def goes_on(self, runs: Runs) -> None:
        """Let another world begin as this one has become."""
        past, world = self.runs.world, runs.world
        world.bucket.objects.update(past.bucket.objects)
        world.now, world.last_number = past.now, past.last_number
        for field in fields(past.ledger):
            if field.name != "world":
                setattr(world.ledger, field.name, copy(getattr(past.ledger, field.name)))
        world.ledger.runs = {name: replace(run) for name, run in past.ledger.runs.items()}
        runs.holds = list(self.runs.holds)


def begin(number: int, folder: Path) -> Beginning:
    """Live through one beginning."""
    world = World(-1 - number, folder)
    runs, rng = Runs(world), world.rng
    contents = [new_content(rng) for _ in range(3)]
    if rng.random() < 0.4:
        contents[1] = other_values(contents[0])
    gap = timedelta(hours=rng.choice((1, 48, 48, 31 * 24)))
    with inhabited(world), world.calm():
        content = contents[0]
        for _ in range(rng.choice((0, 3, 6, 8))):
            content = rng.choice([one for one in contents if one != content] or contents)
            converge(runs, content)
            world.pass_time(gap)
        for _ in range(rng.choice((0, 0, 0, 2))):
            alone(world, "operator", partial(go_back, world))
        if rng.random() < 0.8:
            world.pass_time(timedelta(days=rng.choice((8, 31, 31, 31))))
            alone(world, "collector", collecting(runs, alone=True))
            world.pass_time(timedelta(days=2))
    return Beginning(runs, tuple(contents))


def converge(runs: Runs, content: Content) -> None:
    """Publish this content, doing what the messages say."""
    world, ledger = runs.world, runs.ledger
    for _ in range(6):
        if ledger.violations:
            return
        holds = len(runs.holds)
        run = runs.start(content)
        world.live()
        if run.state == "done":
            return
        if len(runs.holds) > holds:
            alone(world, "approver", partial(approving(runs.holds[-1], "\0"), world))
            continue
        denied = [
            one["release_id"]
            for one in (ledger.pointer or {}).get("denied", ())
            if one["lifted_at"] is None and one["data_version"] == content.version
        ]
        if denied:
            alone(world, "operator", partial(allowing(denied[0]), world))
        else:  # a collector that died is believed in for some minutes, as the message says
            world.pass_time(timedelta(minutes=20))
    if not ledger.violations:
        ledger.violate("every content can be published in the end", str(content))


def alone(world: World, name: str, body: Callable[[Process], None]) -> None:
    """Let a process run to its end while nobody else does anything."""
    world.start(name, body)
    world.live()
