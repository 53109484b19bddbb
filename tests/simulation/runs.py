"""Runs, and the orchestrator that starts them, gives them up and believes in them.

They call the library as the platform does. An error that nothing in the world excuses is a
violation: whoever ran the command could not have known what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from declared_rows import passing

from genept.common.errors import ConflictError, StoreError
from genept.release.approval_records import approval_page
from genept.release.candidate_review import HeldError, review
from genept.release.fencing import Claim, LostClaimError, RunState
from genept.release.publish import ReleaseCandidate, Releases
from genept.release.staging import ReleaseRefusedError
from simulation.invariants import Run
from simulation.library import FEW, Content, build
from simulation.network import releases_of
from simulation.process import Process
from simulation.world import World

TOLERANCE = timedelta(minutes=5)
"""A clock within this is right."""


@dataclass
class Hold:
    """A run was held; `message` says what to do."""

    content: Content
    message: str


class Runs:
    """The orchestrator, and everything that it starts.

    A run builds one table after the other and publishes. Its steps are processes of their own,
    or one process does several of them.
    """

    def __init__(self, world: World) -> None:
        self.world, self.ledger = world, world.ledger
        self.holds: list[Hold] = []
        self.processes: dict[str, list[Process]] = {}

    def state_of(self, name: str) -> RunState:
        """What the orchestrator says of a run; one that it does not know was given up."""
        run = self.ledger.runs.get(name)
        return run.state if run else "given up"

    def start(self, content: Content, **options: object) -> Run:
        """A new run."""
        run = Run(f"run{self.world.number()}", content)
        self.ledger.runs[run.name] = run
        self._step(run, 0, {}, options)
        return run

    def comes_back(self, run: Run) -> None:
        """A fresh process of a run that was given up starts late, as on Kubernetes."""
        self.world.counters["given-up run came back"] += 1
        built = dict.fromkeys(FEW, run.content)
        self._step(run, len(FEW), dict.fromkeys(built, ""), {})

    def give_up(self, run: Run) -> None:
        """The orchestrator does not believe in a run any more. Its process may live on."""
        if run.state == "at work":
            run.state = "given up"
            alive = any(
                one.is_alive and one is not self.world.running
                for one in self.processes.get(run.name, ())
            )
            self.world.counters["run given up while it was alive"] += alive
            self.world.tell("orchestrator", f"gives up {run.name}")

    def _alive(self, run: Run) -> list[Process]:
        """The processes of a run that have not ended."""
        return [one for one in self.processes.get(run.name, ()) if one.is_alive]

    def _step(
        self, run: Run, number: int, built: dict[str, str], options: dict[str, object]
    ) -> None:
        process = self.world.start(
            f"{run.name}.{number}",
            lambda process: self._live(process, run, number, built, options),
            run=run.name,
            **options,
        )
        self.processes.setdefault(run.name, []).append(process)

    def _live(
        self,
        process: Process,
        run: Run,
        number: int,
        built: dict[str, str],
        options: dict[str, object],
    ) -> None:
        """Do steps of a run until it ends, or until another process is to go on."""
        releases = releases_of(self.world, process)
        claim = Claim(releases)
        try:
            with self._excused(process, run):
                while number < len(FEW):
                    claim.take(run.name, self.state_of)
                    self.ledger.claimed(run)
                    table = FEW[number]
                    built[table] = build(releases.lake, run.content, table).data_version
                    number += 1
                    if self.world.rng.random() < 0.2:
                        return self._step(run, number, built, options)
                claim.take(run.name, self.state_of)
                self.ledger.claimed(run)
                self._publish(process, run, releases, claim, built)
                if run.state == "at work":
                    run.state = "done"
        except StoreError:
            self.give_up(run)
        return None

    def _publish(
        self,
        process: Process,
        run: Run,
        releases: Releases,
        claim: Claim,
        built: dict[str, str],
    ) -> None:
        """The calls of `assets.release.publish_tables`, in their order."""
        lake = releases.lake
        tables = {
            name: lake.table(name, built[name]) if built[name] else build(lake, run.content, name)
            for name in FEW
        }
        reviewed = review(releases, tables, run=run.name)
        if self.world.befalls("suspension after a review"):
            self.world.suspend(process, self.world.rng.randint(50, 200))
            self.world.counters["process suspended after a review"] += 1
            self.world.pause(process)

        def still_allowed() -> None:
            claim.confirm(run.name)
            reviewed.confirm(releases)

        candidate = ReleaseCandidate(
            tables=tables,
            evidence=passing(tables),
            sources={},
            platform_version="1",
            audit=lambda: approval_page(reviewed.approved),
        )
        self.world.counters["publication with a wrong clock"] += abs(process.skew) > TOLERANCE
        published = releases.publish(candidate, confirm=still_allowed)
        if published.manifest.release_id not in self.ledger.history:
            self.ledger.violate(
                "what is said to be published was current",
                f"{process.name}: {published.manifest.release_id}",
            )
        self.world.counters["release published" if published.is_new else "nothing new"] += 1
        self.world.tell(process.name, f"published {published.manifest.release_id}")

    @contextmanager
    def _excused(self, process: Process, run: Run) -> Iterator[None]:
        """Raise errors on, after asking whether something in the world excuses them."""
        try:
            yield
        except StoreError as error:
            self.world.tell(process.name, f"fails: {type(error).__name__}: {error}")
            if isinstance(error, HeldError):
                self.world.counters["release held"] += 1
                self.holds.append(Hold(run.content, str(error)))
            elif run.state != "given up" and not self._is_excused(process, run, error):
                self.ledger.violate(
                    "a run at work fails only for a reason",
                    f"{process.name}: {type(error).__name__}: {error}",
                )
            raise

    def _is_excused(self, process: Process, run: Run, error: StoreError) -> bool:
        if process.is_excused(error):
            return True
        if isinstance(error, LostClaimError):
            if self.ledger.collector_is_at_work:
                return True
            others = [one for one in self.ledger.runs.values() if one is not run]
            return any(
                one.state == "at work" or (one.generation or 0) > (run.generation or 0)
                for one in others
            )
        if isinstance(error, ConflictError):
            return self.ledger.lost_a_race(process)
        if isinstance(error, ReleaseRefusedError) and "rolled back from" in str(error):
            denied = self.ledger.pointer["denied"] if self.ledger.pointer else ()
            return any(one["data_version"] == run.content.version for one in denied)
        return False

    # --- the orchestrator's own process -------------------------------------------------------

    def watch(self, process: Process) -> None:
        """Notice dead runs, give up living ones by mistake, start late processes of old ones."""
        rng = self.world.rng
        for _ in range(rng.randint(5, 40)):
            self.world.pause(process)
            for run in list(self.ledger.runs.values()):
                alive = any(one.is_alive for one in self.processes.get(run.name, ()))
                asleep = any(
                    one.asleep > self.world.steps for one in self.processes.get(run.name, ())
                )
                chance = 0.1 if asleep else 0.01
                if run.state == "at work" and rng.random() < (chance if alive else 0.5):
                    self.give_up(run)
                    if rng.random() < 0.5:
                        self.start(rng.choice(list(self.ledger.runs.values())).content)
                elif run.state == "given up" and rng.random() < 0.015:
                    self.comes_back(run)

    def end_of_day(self) -> None:
        """What has not ended is given up, unless it is suspended and believed in."""
        is_believed = self.world.focus.is_believed
        for run in self.ledger.runs.values():
            if not self._alive(run) or self.world.rng.random() >= is_believed:
                self.give_up(run)
