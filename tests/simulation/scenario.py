"""One life of a product: days on which many things happen at once, then a quiet end.

At the end everything must come right by itself: what was held is approved and published, what
was denied is allowed, whatever died in between.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from simulation.library import Content, inhabited, new_content, other_values, remembered
from simulation.people import approving, collecting, operate
from simulation.quiet import SHARED_BY, Beginning, alone, begin, converge
from simulation.readers import build_all, read, read_as_first_version
from simulation.runs import Runs
from simulation.world import World

QUICK = 200
"""So many seeds, from the first, are tried in every run of the tests."""

YEAR = timedelta(days=370)
LATEST_START = 400
"""Steps after which everybody who is there on a day has started."""


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
    beginning = _beginning(seed // SHARED_BY, folder)
    with inhabited(world):
        try:
            Life(world, beginning).live()
        finally:
            world.end()
            shutil.rmtree(world.folder, ignore_errors=True)
    return Report(seed, world.ledger.violations, world.counters, world.steps, world.trace or [])


def _beginning(number: int, folder: Path) -> Beginning:
    """The beginning of a life, lived once within `library.seams`."""
    if number not in remembered:
        remembered.clear()
        remembered[number] = begin(number, folder / f"beginning-{number}")
        shutil.rmtree(folder / f"beginning-{number}", ignore_errors=True)
    beginning: Beginning = remembered[number]
    return beginning


class Life:
    """The days of one world."""

    def __init__(self, world: World, beginning: Beginning) -> None:
        self.world, self.rng, self.focus = world, world.rng, world.focus
        self.runs = Runs(world)
        beginning.goes_on(self.runs)
        self.contents = [*beginning.contents, new_content(self.rng)]
        self.skews = {machine: self._skew() for machine in world.machines}

    def live(self) -> None:
        """Some days, then the end."""
        for _ in range(self.focus.days):
            if self.world.ledger.violations:
                return
            self._day()
            self.runs.end_of_day()
            self.world.pass_time(self.rng.choice(self.focus.calendar))
            if self.rng.random() < self.focus.is_lost:
                self._lose()
        self._end()

    def _day(self) -> None:
        rng, start = self.rng, self.world.start
        for _ in range(rng.randint(*self.focus.runs)):
            self.runs.start(self._wanted(), is_later=rng.random() < 0.15, **self._place())
        for _ in range(2):
            if self._is_there("reader"):
                start("reader", partial(read, self.world), **self._place())
            if self._is_there("operator"):
                start("operator", partial(operate, self.world), **self._place())
        if self._is_there("first version"):
            start("first-version", partial(read_as_first_version, self.world))
        if self._is_there("collector"):
            start("collector", collecting(self.runs), **self._place())
        for hold in self.runs.holds[-2:]:
            if self._is_there("approver"):
                start("approver", partial(approving(hold), self.world), **self._place())
        start("orchestrator", self.runs.watch)
        self.world.live()

    def _is_there(self, actor: str) -> bool:
        return self.rng.random() < self.focus.actors[actor]

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
        """What a run is to build."""
        (kind,) = self.rng.choices(("held", "other values", "any"), self.focus.wanted)
        if kind == "held" and self.runs.holds:
            return self.runs.holds[-1].content
        return self._refreshed() if kind == "other values" else self.rng.choice(self.contents)

    def _refreshed(self) -> Content:
        """What is current with other values: it holds nothing."""
        ledger = self.world.ledger
        if ledger.pointer is None:
            return self.rng.choice(self.contents)
        current = ledger.history[ledger.pointer["release_id"]]
        return other_values(ledger.runs[current.by].content)

    def _place(self) -> dict[str, Any]:
        """A process's machine, by how much its clock is ahead, and when on this day it starts."""
        machine, world = self.world.machine(), self.world
        skew = self.skews.get(machine)
        return {
            "cache": machine,
            "skew": self._skew() if skew is None else skew,
            "asleep": world.steps + self.rng.choice((0, self.rng.randint(1, LATEST_START))),
        }

    def _skew(self) -> timedelta:
        rng, draw = self.rng, self.rng.random()
        if draw < 0.7:
            return timedelta(seconds=rng.uniform(-2, 2))
        if draw < 0.85:
            return timedelta(minutes=rng.uniform(-10, 10))
        return timedelta(hours=rng.uniform(-5, 5)) if draw < 0.95 else YEAR

    # --- the end ------------------------------------------------------------------------------

    def _end(self) -> None:
        """No more faults: what is left ends, and other content can be published.

        Sometimes something is published before, garbage is collected, or everything is built.
        """
        world, rng = self.world, self.rng
        with world.calm():
            world.day += 10
            world.live()
            for run in world.ledger.runs.values():
                self.runs.give_up(run)
            world.pass_time(timedelta(hours=1))
            if rng.random() < 0.3:
                converge(self.runs, rng.choice(self.contents))
            if rng.random() < 0.5:
                for days in rng.choice(((8, 2), (45, 2))):
                    world.pass_time(timedelta(days=days))
                    alone(world, "collector", collecting(self.runs, alone=True))
            if rng.random() < 0.4:
                alone(world, "builder", partial(build_all, world, self.contents))
            converge(self.runs, rng.choice((new_content(rng), self._refreshed())))
            alone(world, "reader", partial(read, world))
