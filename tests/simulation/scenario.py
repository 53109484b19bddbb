"""The scenario of one seed: days with many concurrent events, then an end without faults.

At the end, everything must recover by itself: what was held is approved and published, what was
denied is allowed, whatever processes died before.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from simulation.library import Content, cached_beginnings, in_world, new_content, other_values
from simulation.people import approving, collecting, operate
from simulation.quiet import SHARED_BY, Beginning, begin, converge, run_alone
from simulation.readers import build_all, read, read_as_first_version
from simulation.runs import Runs
from simulation.world import World

QUICK = 200
"""Number of seeds, from the first, that every run of the tests simulates."""

YEAR = timedelta(days=370)
LATEST_START = 400
"""Steps after which all processes of a day have started."""


@dataclass(frozen=True)
class Report:
    """Result of a seed."""

    seed: int
    violations: list[tuple[str, str]]
    counters: Counter[str]
    steps: int
    trace: list[str]

    def __str__(self) -> str:
        invariant, description = self.violations[0]
        return f"seed {self.seed} violates {invariant!r} after {self.steps} steps: {description}"


def run_seed(seed: int, folder: Path, *, trace: bool = False) -> Report:
    """Simulate one seed, within `library.seams`.

    Parameters
    ----------
    folder
        For the caches of the simulated machines; emptied at the end.
    """
    world = World(seed, folder / str(seed), [] if trace else None)
    beginning = _beginning(seed // SHARED_BY, folder)
    with in_world(world):
        try:
            Simulation(world, beginning).run()
        finally:
            world.end()
            shutil.rmtree(world.folder, ignore_errors=True)
    return Report(seed, world.ledger.violations, world.counters, world.steps, world.trace or [])


def _beginning(number: int, folder: Path) -> Beginning:
    """A beginning, simulated once within `library.seams`."""
    if number not in cached_beginnings:
        cached_beginnings.clear()
        cached_beginnings[number] = begin(number, folder / f"beginning-{number}")
        shutil.rmtree(folder / f"beginning-{number}", ignore_errors=True)
    beginning: Beginning = cached_beginnings[number]
    return beginning


class Simulation:
    """The days of one world, and their end."""

    def __init__(self, world: World, beginning: Beginning) -> None:
        self.world, self.rng, self.focus = world, world.rng, world.focus
        self.runs = Runs(world)
        beginning.continue_in(self.runs)
        self.contents = [*beginning.contents, new_content(self.rng)]
        self.skews = {machine: self._skew() for machine in world.machines}

    def run(self) -> None:
        """Simulate some days, then the end."""
        for _ in range(self.focus.days):
            if self.world.ledger.violations:
                return
            self._run_day()
            self.runs.end_of_day()
            self.world.pass_time(self.rng.choice(self.focus.calendar))
            if self.rng.random() < self.focus.manifest_lost:
                self._delete_manifest()
        self._run_end()

    def _run_day(self) -> None:
        rng, start = self.rng, self.world.start
        for _ in range(rng.randint(*self.focus.runs)):
            self.runs.start(
                self._draw_content(), is_later=rng.random() < 0.15, **self._process_options()
            )
        for _ in range(2):
            if self._is_present("reader"):
                start("reader", partial(read, self.world), **self._process_options())
            if self._is_present("operator"):
                start("operator", partial(operate, self.world), **self._process_options())
        if self._is_present("first version"):
            start("first-version", partial(read_as_first_version, self.world))
        if self._is_present("collector"):
            start("collector", collecting(self.runs), **self._process_options())
        for hold in self.runs.holds[-2:]:
            if self._is_present("approver"):
                start("approver", partial(approving(hold), self.world), **self._process_options())
        start("orchestrator", self.runs.watch)
        self.world.run_processes()

    def _is_present(self, actor: str) -> bool:
        return self.rng.random() < self.focus.actors[actor]

    def _delete_manifest(self) -> None:
        """Somebody deletes the manifest of a release that is not the current one by hand."""
        ledger = self.world.ledger
        if any(
            process.is_alive and process.name.startswith("operator")
            for process in self.world.processes
        ):
            return  # a suspended rollback to it would make it current without a manifest
        current = (ledger.pointer or {}).get("release_id")
        if others := sorted(set(ledger.history) - {current} - ledger.lost):
            release_id = self.rng.choice(others)
            key = f"{self.world.product}/releases/{release_id}/manifest.json"
            if self.world.bucket.objects.pop(key, None):
                ledger.lost.add(release_id)
                self.world.counters["manifest lost"] += 1
                self.world.log("somebody", f"deletes {key}")

    def _draw_content(self) -> Content:
        """Draw the content that a run builds."""
        (kind,) = self.rng.choices(("held", "other values", "any"), self.focus.content_weights)
        if kind == "held" and self.runs.holds:
            return self.runs.holds[-1].content
        return self._refreshed() if kind == "other values" else self.rng.choice(self.contents)

    def _refreshed(self) -> Content:
        """The current content with other values, which is not held."""
        ledger = self.world.ledger
        if ledger.pointer is None:
            return self.rng.choice(self.contents)
        current = ledger.history[ledger.pointer["release_id"]]
        return other_values(ledger.runs[current.by].content)

    def _process_options(self) -> dict[str, Any]:
        """Options of a process: its machine, the skew of its clock, when it starts on this day."""
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

    def _run_end(self) -> None:
        """Without faults, let all processes end, and check that other content can be published.

        Sometimes a content is published, garbage is collected, or everything is built before.
        """
        world, rng = self.world, self.rng
        with world.calm():
            world.day += 10
            world.run_processes()
            for run in world.ledger.runs.values():
                self.runs.give_up(run)
            world.pass_time(timedelta(hours=1))
            if rng.random() < 0.3:
                converge(self.runs, rng.choice(self.contents))
            if rng.random() < 0.5:
                for days in rng.choice(((8, 2), (45, 2))):
                    world.pass_time(timedelta(days=days))
                    run_alone(world, "collector", collecting(self.runs, alone=True))
            if rng.random() < 0.4:
                run_alone(world, "builder", partial(build_all, world, self.contents))
            converge(self.runs, rng.choice((new_content(rng), self._refreshed())))
            run_alone(world, "reader", partial(read, world))
