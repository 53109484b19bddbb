"""What processes do: runs, readers, collectors, approvers, operators, and the orchestrator.

Each calls the library as the platform does. An error that nothing in the world excuses is a
violation: whoever ran the command could not have known what to do.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from declared_rows import passing

from genept.common.errors import ConflictError, StoreError
from genept.release.approvals import approval_page, approve
from genept.release.collector import delete_garbage
from genept.release.fencing import Claim, LostClaimError, RunState
from genept.release.publish import Candidate, Releases
from genept.release.review import HeldError, review
from genept.release.rollback import allow, roll_back
from genept.release.staging import ReleaseRefusedError
from genept.storage.lake import Lake
from simulation import first_version
from simulation.invariants import Run
from simulation.library import FEW, Content, build
from simulation.network import connect
from simulation.world import Process, World

TOLERANCE = timedelta(minutes=5)
"""A clock within this is right."""


def releases_of(world: World, process: Process) -> Releases:
    """The releases, as a process of its own sees them."""
    store = connect(world, process)
    return Releases(Lake(store, world.product, process.cache / "parts"), world.product)


# --- runs -----------------------------------------------------------------------------------


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
        run = Run(f"run{next(self.world.numbers)}", content)
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
                one.is_alive and one is not self.world.running for one in self.processes[run.name]
            )
            self.world.counters["run given up while it was alive"] += alive
            self.world.tell("orchestrator", f"gives up {run.name}")

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

        candidate = Candidate(
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
            return not run.published and self.ledger.lost_a_race(process)
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
                alive = any(one.is_alive for one in self.processes[run.name])
                asleep = any(one.asleep > self.world.steps for one in self.processes[run.name])
                chance = 0.1 if asleep else 0.01
                if run.state == "at work" and rng.random() < (chance if alive else 0.5):
                    self.give_up(run)
                    if rng.random() < 0.5:
                        self.start(rng.choice(list(self.ledger.runs.values())).content)
                elif run.state == "given up" and rng.random() < 0.015:
                    self.comes_back(run)

    def end_of_day(self) -> None:
        """What has not ended is given up; now and then one that is suspended is believed in."""
        for run in self.ledger.runs.values():
            alive = any(one.is_alive for one in self.processes[run.name])
            if not alive or self.world.rng.random() < 0.8:
                self.give_up(run)


# --- the others -----------------------------------------------------------------------------


@contextmanager
def plainly(
    world: World, process: Process, *allowed: Callable[[StoreError], bool]
) -> Iterator[None]:
    """Errors of readers and people: the network's are excused, and those that are allowed."""
    try:
        yield
    except StoreError as error:
        world.tell(process.name, f"fails: {type(error).__name__}: {error}")
        if not process.is_excused(error) and not any(allows(error) for allows in allowed):
            world.ledger.violate(
                f"{process.name.partition('-')[0]} fails only for a reason",
                f"{process.name}: {type(error).__name__}: {error}",
            )


def says(*parts: str) -> Callable[[StoreError], bool]:
    """Allows errors whose text has one of these parts."""
    return lambda error: any(part in str(error) for part in parts)


def names_removed(world: World, *parts: str) -> Callable[[StoreError], bool]:
    """Allows errors that name a release which was collected, or whose manifest was lost.

    Parameters
    ----------
    parts
        The text must have one of these parts as well, if there are any.
    """

    def allows(error: StoreError) -> bool:
        removed = world.ledger.lost | world.ledger.gone
        text = str(error)
        return any(one in text for one in removed) and (
            not parts or any(part in text for part in parts)
        )

    return allows


def read(world: World, process: Process) -> None:
    """Resolve the current release a few times and read all of it, as an analyst's session does."""
    releases, seq = releases_of(world, process), 0
    for _ in range(world.rng.randint(1, 4)):
        with plainly(world, process, says("nothing has been released yet"), names_removed(world)):
            pointer = releases.pointer()
            if pointer is None:
                continue
            if pointer.seq < seq:
                world.ledger.violate("seq never falls", f"{process.name} saw it")
            seq = pointer.seq
            manifest = releases.current()
            for name, table in manifest.tables.items():
                for file in table.files:
                    key = f"{releases.folder(manifest.release_id)}/{file.path}"
                    try:
                        body = releases.store.get(key)
                    except StoreError:
                        if manifest.release_id in world.ledger.protected():
                            raise
                        return  # it read on for so long that the release was collected
                    if hashlib.sha256(body).hexdigest() != file.sha256:
                        world.ledger.violate("no torn read", f"{process.name}: {name}")
            world.counters["release read whole"] += 1


def build_all(world: World, contents: list[Content], process: Process) -> None:
    """Build every table of every content, most of which the lake remembers."""
    lake = releases_of(world, process).lake
    with plainly(world, process):
        for content in contents:
            for table in FEW:
                for part in build(lake, content, table).parts:
                    lake.local(part)


def read_as_first_version(world: World, process: Process) -> None:
    """Version 0.1.0 reads the current release, or says that it cannot."""
    store = connect(world, process)
    allowed = [names_removed(world, "there is no")]
    if world.ledger.pointer is None:
        allowed.append(says(f"/{world.ledger.pointer_key}"))
    with plainly(world, process, *allowed):
        try:
            count = sum(1 for _ in first_version.read_current(store.get, world.product))
        except first_version.NotReadableError:
            world.counters["later release refused by version 0.1.0"] += 1
        except first_version.TornError as error:
            world.ledger.violate("no torn read", f"{process.name}: {error}")
        else:
            world.counters["release read by version 0.1.0"] += bool(count)


def collecting(runs: Runs, *, alone: bool = False) -> Callable[[Process], None]:
    """List what may go, and delete what was listed a day ago.

    Parameters
    ----------
    alone
        Whether nobody else can have the claim.
    """
    world = runs.world

    def act(process: Process) -> None:
        releases = releases_of(world, process)
        lost = world.ledger.lost if world.rng.random() < 0.5 else ()
        with plainly(world, process, lambda error: _is_claimed(error) and not alone):
            _, deleted = delete_garbage(
                releases, releases.store, runs.state_of, accepted=sorted(lost)
            )
            for one in deleted:
                kind = "release" if one.release_id else one.what.partition(" of ")[0]
                world.counters[f"garbage deleted: {kind}"] += 1

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
"""What an operator is told of a release that was collected, or lost, since it was listed."""


def operate(world: World, process: Process) -> None:
    """Roll back, or take a denied release off the list."""
    releases = releases_of(world, process)
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
        if denied and world.rng.random() < 0.6:
            allow(releases, world.rng.choice(denied)["release_id"])
            world.counters["denied release allowed"] += 1
        else:
            roll_back(releases, _far_back(world), reason="simulated")
            world.counters["rolled back"] += 1


def _far_back(world: World) -> str | None:
    """Some release before the current one, for an operator who goes back by more than one."""
    ledger, habits = world.ledger, world.habits
    current = (ledger.pointer or {}).get("release_id", "")
    earlier = [one for one in sorted(ledger.history) if one < current and one not in ledger.gone]
    return habits.choice(earlier) if earlier and habits.random() < 0.5 else None


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
"""What a person is told who approves what is not held any more."""


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
