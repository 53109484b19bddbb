"""One life of a product: days on which many things happen at once, then a quiet end.

At the end everything must come right by itself: what was held is approved and published, what
was denied is allowed, whatever died in between.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from simulation.actors import (
    Runs,
    allowing,
    approving,
    build_all,
    collecting,
    go_back,
    operate,
    read,
    read_as_first_version,
)
from simulation.library import Content, Piece, inhabited
from simulation.world import Process, World

CALENDARS = tuple(
    tuple(timedelta(hours=hours) for hours in gaps)
    for gaps in ((1, 20, 48), (48, 8 * 24), (48, 31 * 24), (1, 20, 48, 8 * 24, 31 * 24, 45 * 24))
)
"""What may lie between two days of a life: each life has one of these."""

YEAR = timedelta(days=370)


@dataclass(frozen=True)
class Report:
    """What came of a seed."""

    seed: int
    violations: list[tuple[str, str]]
    counters: Counter[str]
    steps: int
    trace: list[str]

    def __str__(self) -> str:
        invariant, story = self.violations[0]
        return f"seed {self.seed} violates {invariant!r} after {self.steps} steps: {story}"


def run_seed(seed: int, folder: Path, *, trace: bool = False) -> Report:
    """Live through one seed, within `library.seams`.

    Parameters
    ----------
    folder
        For the caches of the simulated machines; emptied at the end.
    """
    world = World(seed, folder / str(seed), [] if trace else None)
    with inhabited(world):
        try:
            Life(world).live()
        finally:
            world.end()
            shutil.rmtree(world.folder, ignore_errors=True)
    return Report(seed, world.ledger.violations, world.counters, world.steps, world.trace or [])


def _other_values(content: Content) -> Content:
    """Content with as many rows of everything, which holds nothing when it follows the first."""
    return Content(tuple(replace(one, variant=1 - one.variant) for one in content.pieces))


class Life:
    """The days of one world."""

    def __init__(self, world: World) -> None:
        self.world, self.rng = world, world.rng
        self.runs = Runs(world)
        self.skews = {machine: self._skew() for machine in world.machines}
        self.calendar = self.rng.choice(CALENDARS)
        self.contents = [self._content() for _ in range(3)]
        if world.habits.random() < 0.3:
            self.contents[1] = _other_values(self.contents[0])

    def _content(self) -> Content:
        rng = self.rng
        collections = [("a",), ("b",)][: rng.randint(1, 2)]
        return Content(
            (
                Piece("genes", (), rng.choice((5, 20, 40)), rng.randint(0, 1)),
                *(
                    Piece("observations", name, rng.choice((3, 20)), rng.randint(0, 1))
                    for name in collections
                ),
            )
        )

    def live(self) -> None:
        """Some quiet releases, one to four days, then the end."""
        with self.world.calm():
            for _ in range(self.rng.choice((0, 2, 3, 4))):
                self._converge(self.rng.choice(self.contents))
                self.world.pass_time(self.calendar[0])
            for _ in range(self.rng.choice((0, 0, 2))):
                self._alone("operator", partial(go_back, self.world))
        for _ in range(self.rng.randint(1, 4)):
            self._day()
            if self.world.ledger.violations:
                return
            self.runs.end_of_day()
            self.world.pass_time(self.rng.choice(self.calendar))
            if self.rng.random() < 0.35:
                self._lose()
        self._end()

    def _day(self) -> None:
        rng, start = self.rng, self.world.start
        for _ in range(rng.randint(1, 3)):
            self.runs.start(self._wanted(), is_later=rng.random() < 0.15, **self._place())
        if rng.random() < 0.4:
            start("first-version", partial(read_as_first_version, self.world))
        for _ in range(rng.randint(0, 2)):
            start("reader", partial(read, self.world), **self._place())
        if rng.random() < 0.7:
            start("collector", collecting(self.runs), **self._place())
        if rng.random() < 0.5:
            start("operator", partial(operate, self.world), **self._place())
        for hold in self.runs.holds[-2:]:
            if rng.random() < 0.7:
                start("approver", partial(approving(hold), self.world), **self._place())
        start("orchestrator", self.runs.watch)
        self.world.live()

    def _lose(self) -> None:
        """Somebody deletes the manifest of a release that is not the current one by hand."""
        ledger = self.world.ledger
        if any(one.is_alive and one.name.startswith("operator") for one in self.world.processes):
            return  # who is suspended in a rollback to it would make it current without a manifest
        current = (ledger.pointer or {}).get("release_id")
        if others := sorted(set(ledger.history) - {current} - ledger.lost):
            release_id = self.rng.choice(others)
            key = f"{self.world.product}/releases/{release_id}/manifest.json"
            if self.world.bucket.objects.pop(key, None):
                ledger.lost.add(release_id)
                self.world.counters["manifest lost"] += 1
                self.world.tell("somebody", f"deletes {key}")

    def _wanted(self) -> Content:
        if self.runs.holds and self.rng.random() < 0.5:
            return self.runs.holds[-1].content
        return self.rng.choice(self.contents)

    def _place(self) -> dict[str, Any]:
        """A machine for a process, and by how much its clock is ahead."""
        machine = self.rng.choice(self.world.machines)
        return {"cache": machine, "skew": self.skews[machine]}

    def _skew(self) -> timedelta:
        rng, draw = self.rng, self.rng.random()
        if draw < 0.7:
            return timedelta(seconds=rng.uniform(-2, 2))
        if draw < 0.85:
            return timedelta(minutes=rng.uniform(-10, 10))
        return timedelta(hours=rng.uniform(-5, 5)) if draw < 0.95 else YEAR

    # --- the end ------------------------------------------------------------------------------

    def _end(self) -> None:
        """No more faults: what is left ends, and other content can be published, before and after
        garbage is collected.
        """
        world = self.world
        with world.calm():
            world.day += 10
            world.live()
            for run in world.ledger.runs.values():
                self.runs.give_up(run)
            world.pass_time(timedelta(hours=1))
            self._converge(self.rng.choice(self.contents))
            for days in self.rng.choice(((8, 2), (45, 2))):
                world.pass_time(timedelta(days=days))
                self._alone("collector", collecting(self.runs, alone=True))
            self._alone("builder", partial(build_all, world, self.contents))
            self._converge(self._content())
            self._alone("reader", partial(read, world))

    def _converge(self, content: Content) -> None:
        """Publish this content, doing what the messages say."""
        ledger = self.world.ledger
        for _ in range(6):
            if ledger.violations:
                return
            holds = len(self.runs.holds)
            run = self.runs.start(content)
            self.world.live()
            if run.state == "done":
                return
            if len(self.runs.holds) > holds:
                self._alone("approver", partial(approving(self.runs.holds[-1], "\0"), self.world))
                continue
            denied = [
                one["release_id"]
                for one in (ledger.pointer or {}).get("denied", ())
                if one["lifted_at"] is None and one["data_version"] == content.version
            ]
            if denied:
                self._alone("operator", partial(allowing(denied[0]), self.world))
        if not ledger.violations:
            ledger.violate("every content can be published in the end", str(content))

    def _alone(self, name: str, body: Callable[[Process], None]) -> None:
        self.world.start(name, body)
        self.world.live()
