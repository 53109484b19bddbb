"""One schedule of many processes, decided by one seed: whose turn it is, what time it is, who dies.

Processes are greenlets that give way at every request (`network`). What they do is said in
`actors`; what must hold after each of their steps, in `invariants`.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

from genept.common.errors import UnreachableStoreError
from simulation.bucket import Change, MemoryBucket, Stored
from simulation.invariants import Ledger

START = datetime(2026, 1, 1, tzinfo=UTC)
LIFETIME = timedelta(minutes=15)
"""How long after it was signed a request may still take effect: S3 refuses older ones."""

MOST_STEPS = 20_000
FAULTS = (
    "request lost", "answer lost", "unavailable", "conflict", "body cut", "late", "twice",
    "cut off", "clock step", "death", "suspension", "outage",
)  # fmt: skip


class Died(BaseException):
    """The process is dead: nothing of it runs on. No code of the library may stop this."""


@dataclass
class Message:
    """A request on its way, which nobody waits for any more."""

    sender: Process
    operation: str
    request: dict[str, Any]
    sent_at: datetime
    why: str


@dataclass
class Process:
    """One process of one machine.

    Parameters
    ----------
    skew
        By how much its clock is ahead.
    cache
        Its machine's folder of copies; shared with the other processes of that machine.
    run
        Name of the orchestrator's run that it is a step of; none for readers and people.
    is_later
        Whether it is of a later version, which writes optional fields that this one lacks.
    """

    name: str
    cache: Path
    skew: timedelta = timedelta()
    run: str | None = None
    is_later: bool = False
    weight: float = 1.0
    asleep: int = 0
    asleep_until_day: int = 0
    doomed: bool = False
    gave_up: bool = False
    was_cut: bool = False
    pointer_expected: str | None = None
    thread: Any = None

    def is_excused(self, error: Exception) -> bool:
        """Whether an error is the network's."""
        return self.gave_up or (self.was_cut and isinstance(error, UnreachableStoreError))

    @property
    def is_alive(self) -> bool:
        return self.thread is not None and not self.thread.dead


@dataclass
class World:
    """Everything that one seed decides.

    Parameters
    ----------
    folder
        For the caches of the machines.
    trace
        Whether to write down what happens, for a person to read.
    """

    seed: int
    folder: Path
    trace: list[str] | None = None
    product: str = "genept"
    now: datetime = START
    day: int = 0
    steps: int = 0
    quiet: bool = False
    counters: Counter[str] = field(default_factory=Counter)
    in_flight: list[Message] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    running: Process | None = None

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.nonces = Random(f"nonces of {self.seed}")
        self.habits = Random(f"habits of {self.seed}")
        self.numbers = itertools.count(1)
        self.store_skew = timedelta(seconds=self.rng.uniform(-2, 2))
        self.bucket = MemoryBucket(lambda: self.now + self.store_skew)
        self.ledger = Ledger(self)
        # Some faults are absent from some seeds: bugs that one fault would hide are found, too.
        self.rates = {fault: self.rng.choice((0.0, 0.002, 0.01, 0.03)) for fault in FAULTS} | {
            "death": self.rng.choice((0.0, 0.001, 0.004)),
            "suspension": self.rng.choice((0.0, 0.002, 0.006)),
            "suspension before a swap": self.rng.choice((0.0, 0.2)),
            "outage": self.rng.choice((0.0, 0.0, 0.0005)),
        }
        self.rates["suspension after a review"] = self.habits.choice((0.0, 0.0, 0.3))
        self.outage_ends = 0
        self.machines = [self.folder / f"machine-{number}" for number in range(3)]
        self.hub = getcurrent()

    # --- chance and time ------------------------------------------------------------------

    def befalls(self, fault: str) -> bool:
        """Whether a fault happens now. None does once the world is quiet."""
        return not self.quiet and self.rng.random() < self.rates[fault]

    def clock(self) -> datetime:
        """What time the running process believes it is."""
        return self.now + (self.running.skew if self.running else timedelta())

    def nonce(self, n_bytes: int) -> str:
        """Random hexadecimal digits that the seed decides."""
        return self.nonces.randbytes(n_bytes).hex()

    def pass_time(self, duration: timedelta) -> None:
        """Let time pass. What is on its way arrives before, or never."""
        for message in list(self.in_flight):
            self.in_flight.remove(message)
            if self.rng.random() < 0.5:
                self.deliver(message)
        self.now += duration
        self.day += 1
        self.outage_ends = 0

    def tell(self, who: str, what: str) -> None:
        """Write down what happens, if anybody reads it."""
        if self.trace is not None:
            self.trace.append(f"{self.steps:5} {self.now:%m-%d %H:%M:%S} {who:22} {what}")

    # --- processes ------------------------------------------------------------------------

    def start(self, name: str, body: Callable[[Process], None], **options: Any) -> Process:
        """A new process, which runs when its turn comes."""
        options.setdefault("cache", self.rng.choice(self.machines))
        process = Process(f"{name}-{next(self.numbers)}", **options)
        process.weight = self.rng.expovariate(1) + 0.05

        def live() -> None:
            with suppress(Died):
                body(process)

        process.thread = greenlet(live, parent=self.hub)
        self.processes.append(process)
        return process

    def pause(self, process: Process) -> None:
        """Give way to others. Raises `Died` when the process is dead by the time it goes on."""
        self.hub.switch()
        if process.doomed:
            raise Died

    def live(self) -> None:
        """Let processes take turns until all have ended, or are suspended until another day."""
        limit = self.steps + MOST_STEPS
        while not self.ledger.violations:
            self.processes = [one for one in self.processes if one.is_alive]
            awake = [
                one
                for one in self.processes
                if one.asleep_until_day <= self.day and one.asleep <= self.steps
            ]
            waiting = [one for one in self.processes if one.asleep_until_day <= self.day]
            if not waiting and not self.in_flight:
                return
            self.steps += 1
            self.now += timedelta(seconds=self.rng.random())
            if self.steps > limit:
                self.ledger.violate("the processes come to an end", f"{waiting} go on")
            elif self.in_flight and (not awake or self.rng.random() < 0.05):
                self.deliver(self.in_flight.pop(self.rng.randrange(len(self.in_flight))))
            elif awake:
                self.turn(self._next(awake))

    def _next(self, awake: list[Process]) -> Process:
        draw = self.rng.random() * sum(one.weight for one in awake)
        process = awake[-1]
        for process in awake:
            draw -= process.weight
            if draw < 0:
                break
        if self.rng.random() < 0.03:
            process.weight = self.rng.expovariate(1) + 0.05
        if self.befalls("clock step"):
            process.skew += timedelta(seconds=self.rng.choice((-3600, -1, 1, 3600)))
            self.counters["clock set while a process ran"] += 1
        if len(awake) > 1 and self.befalls("suspension"):
            if self.rng.random() < 0.3:
                process.asleep_until_day = self.day + self.rng.randint(1, 3)
                self.counters["process suspended for days"] += 1
            else:
                self.suspend(process, self.rng.randint(20, 300))
                self.counters["process suspended for a while"] += 1
        return process

    def suspend(self, process: Process, steps: int) -> None:
        """Give a process no turn for so many steps of the others."""
        process.asleep = self.steps + steps
        self.tell(process.name, f"is suspended until step {process.asleep}")

    def turn(self, process: Process) -> None:
        """Let one process go on to its next request."""
        if process.asleep_until_day > self.day or process.asleep > self.steps:
            return
        self.running = process
        try:
            process.thread.switch()
        finally:
            self.running = None

    def kill(self, process: Process) -> None:
        """End a process: it sees nothing of it, and does nothing more."""
        process.doomed = True
        if process.is_alive:
            self.tell(process.name, "is dead")
            self.running = process
            process.thread.throw(Died)
            self.running = None

    def end(self) -> None:
        """Take down what still runs, without effect."""
        for process in self.processes:
            process.doomed = True
            if process.is_alive:
                process.thread.throw(GreenletExit)

    @contextmanager
    def calm(self) -> Iterator[None]:
        """No faults any more."""
        self.quiet, self.outage_ends = True, 0
        yield
        self.quiet = False

    # --- messages -------------------------------------------------------------------------

    def send(self, sender: Process, operation: str, request: dict[str, Any], why: str) -> None:
        """Put a request on its way that arrives later, once, if at all."""
        self.in_flight.append(Message(sender, operation, request, self.now, why))

    def deliver(self, message: Message) -> None:
        """A request that nobody waits for arrives."""
        if self.now - message.sent_at > LIFETIME:
            self.counters["request arrived too late and was refused"] += 1
            return
        try:
            _, changes = self.apply(message.sender, message.operation, message.request)
        except Exception:
            self.counters[f"{message.why}: refused"] += 1
            return
        if changes:
            self.counters[f"{message.why}: took effect"] += 1

    def apply(
        self, sender: Process, operation: str, request: dict[str, Any]
    ) -> tuple[dict[str, Any], list[Change]]:
        """A request arrives at the store; every invariant is asked about what it changed."""
        try:
            answer, changes = self.bucket.handle(operation, request)
        except Exception as refused:
            self.tell(sender.name, f"{operation} {request.get('Key', '')} → {refused}")
            raise
        if self.trace is not None:
            what = request.get("Key") or request.get("Prefix") or [one.key for one in changes]
            self.tell(sender.name, f"{operation} {what}")
        if changes:
            self.ledger.observe(sender, changes)
        return answer, changes

    def stored(self, key: str) -> Stored | None:
        """What lies under a key, seen by nobody."""
        return self.bucket.objects.get(key)
