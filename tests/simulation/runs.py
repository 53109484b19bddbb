"""Runs, and the orchestrator that starts them and gives them up.

They call the library as the platform does. An error that no event in the world excuses is a
violation: the person who ran the command could not have known what to do.
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
    """A run that was held; `message` says what to do."""

    content: Content
    message: str


class Runs:
    """The orchestrator, and the runs that it starts.

    A run builds one table after the other and publishes. Its steps are processes of their own,
    or one process does several of them.
    """

    def __init__(self, world: World) -> None:
        self.world, self.ledger = world, world.ledger
        self.holds: list[Hold] = []
        self.processes: dict[str, list[Process]] = {}

    def state_of(self, name: str) -> RunState:
        """State of a run; one that the orchestrator does not know counts as given up."""
        run = self.ledger.runs.get(name)
        return run.state if run else "given up"

    def start(self, content: Content, **options: object) -> Run:
        """Start a new run."""
        run = Run(f"run{self.world.number()}", content)
        self.ledger.runs[run.name] = run
        self._step(run, 0, {}, options)
        return run

    def restart_late(self, run: Run) -> None:
        """Start a late process of a run that was given up, as Kubernetes may do."""
        self.world.counters["given-up run came back"] += 1
        built = dict.fromkeys(FEW, run.content)
        self._step(run, len(FEW), dict.fromkeys(built, ""), {})

    def give_up(self, run: Run) -> None:
        """Let the orchestrator give up a run. Its process may continue."""
        if run.state == "at work":
            run.state = "given up"
            alive = any(
                process.is_alive and process is not self.world.running
                for process in self.processes.get(run.name, ())
            )
            self.world.counters["run given up while it was alive"] += alive
            self.world.log("orchestrator", f"gives up {run.name}")

    def _living_processes(self, run: Run) -> list[Process]:
        """The processes of a run that have not ended."""
        return [process for process in self.processes.get(run.name, ()) if process.is_alive]

    def _step(
        self, run: Run, number: int, built: dict[str, str], options: dict[str, object]
    ) -> None:
        process = self.world.start(
            f"{run.name}.{number}",
            lambda process: self._execute(process, run, number, built, options),
            run=run.name,
            **options,
        )
        self.processes.setdefault(run.name, []).append(process)

    def _execute(
        self,
        process: Process,
        run: Run,
        number: int,
        built: dict[str, str],
        options: dict[str, object],
    ) -> None:
        """Execute steps of a run until it ends, or until another process is to continue."""
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
        """The calls of `genept.client.publication.publish_tables`, in their order."""
        lake = releases.lake
        tables = {
            name: lake.table(name, built[name]) if built[name] else build(lake, run.content, name)
            for name in FEW
        }
        reviewed = review(releases, tables, run=run.name)
        if self.world.occurs("suspension after a review"):
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
        self.world.log(process.name, f"published {published.manifest.release_id}")

    @contextmanager
    def _excused(self, process: Process, run: Run) -> Iterator[None]:
        """Re-raise errors, and report those that no event in the world excuses."""
        try:
            yield
        except StoreError as error:
            self.world.log(process.name, f"fails: {type(error).__name__}: {error}")
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
            others = [other for other in self.ledger.runs.values() if other is not run]
            return any(
                other.state == "at work" or (other.generation or 0) > (run.generation or 0)
                for other in others
            )
        if isinstance(error, ConflictError):
            return self.ledger.lost_a_race(process)
        if isinstance(error, ReleaseRefusedError) and "rolled back from" in str(error):
            denied = self.ledger.pointer["denied"] if self.ledger.pointer else ()
            return any(denial["data_version"] == run.content.version for denial in denied)
        return False

    # --- the orchestrator's own process -------------------------------------------------------

    def watch(self, process: Process) -> None:
        """Give up dead runs, and living ones by mistake; start late processes of given-up runs."""
        rng = self.world.rng
        for _ in range(rng.randint(5, 40)):
            self.world.pause(process)
            for run in list(self.ledger.runs.values()):
                alive = any(process.is_alive for process in self.processes.get(run.name, ()))
                asleep = any(
                    process.asleep > self.world.steps
                    for process in self.processes.get(run.name, ())
                )
                chance = 0.1 if asleep else 0.01
                if run.state == "at work" and rng.random() < (chance if alive else 0.5):
                    self.give_up(run)
                    if rng.random() < 0.5:
                        self.start(rng.choice(list(self.ledger.runs.values())).content)
                elif run.state == "given up" and rng.random() < 0.015:
                    self.restart_late(run)

    def end_of_day(self) -> None:
        """Give up runs that have not ended, except some of the suspended ones."""
        suspended_run_kept = self.world.focus.suspended_run_kept
        for run in self.ledger.runs.values():
            if not self._living_processes(run) or self.world.rng.random() >= suspended_run_kept:
                self.give_up(run)
