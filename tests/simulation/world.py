"""One schedule of many processes, decided by one seed: their turns, clocks, faults and deaths.

Processes are greenlets that switch at every request (`network`). What they do is defined in
`runs`, `readers` and `people`, what must hold after each of their steps in `invariants`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

from simulation.bucket import Change, MemoryBucket, Stored
from simulation.focus import Focus
from simulation.invariants import Ledger
from simulation.process import Died, Message, Process

START = datetime(2026, 1, 1, tzinfo=UTC)
LIFETIME = timedelta(minutes=15)
"""How long after it was signed a request may still take effect: S3 refuses older ones."""

MOST_STEPS = 20_000
CHANGES_WEIGHT = 0.03
CHANGES_WEIGHT_AT_WRITE = 0.4


@dataclass
class World:
    """Everything that one seed decides.

    Parameters
    ----------
    folder
        For the caches of the machines.
    trace
        List that gets a line for every event, for people to read.
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
    last_number: int = 0

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.nonces = Random(f"nonces of {self.seed}")
        self.store_skew = timedelta(seconds=self.rng.uniform(-2, 2))
        self.bucket = MemoryBucket(lambda: self.now + self.store_skew)
        self.ledger = Ledger(self)
        self.focus = Focus.draw(Random(f"focus of {self.seed}"))
        self.outage_ends = 0
        self.machines = [self.folder / f"machine-{number}" for number in range(3)]
        self.hub = getcurrent()

    # --- faults and time ------------------------------------------------------------------

    def occurs(self, fault: str) -> bool:
        """Whether a fault happens now. None happens while the world is quiet."""
        rate = self.focus.rates[fault]
        return not self.quiet and rate > 0 and self.rng.random() < rate

    def clock(self) -> datetime:
        """The clock of the running process."""
        return self.now + (self.running.skew if self.running else timedelta())

    def nonce(self, n_bytes: int) -> str:
        """Random hexadecimal digits that the seed decides."""
        return self.nonces.randbytes(n_bytes).hex()

    def pass_time(self, duration: timedelta) -> None:
        """Let time pass. Requests in flight arrive before, or never."""
        for message in list(self.in_flight):
            self.in_flight.remove(message)
            if self.rng.random() < 0.5:
                self.deliver(message)
        self.now += duration
        self.day += 1
        self.outage_ends = 0

    def log(self, actor: str, event: str) -> None:
        """Append an event to the trace, if there is one."""
        if self.trace is not None:
            self.trace.append(f"{self.steps:5} {self.now:%m-%d %H:%M:%S} {actor:22} {event}")

    def number(self) -> int:
        """A number that nothing else in this world has."""
        self.last_number += 1
        return self.last_number

    # --- processes ------------------------------------------------------------------------

    def start(self, name: str, body: Callable[[Process], None], **options: Any) -> Process:
        """Start a process, which runs when it has its turn."""
        options.setdefault("cache", self.machine())
        process = Process(f"{name}-{self.number()}", **options)
        self.weigh(process)

        def live() -> None:
            with suppress(Died):
                body(process)

        process.thread = greenlet(live, parent=self.hub)
        self.processes.append(process)
        return process

    def machine(self) -> Path:
        """A machine's folder of cached files; that of a new machine is empty."""
        if not self.quiet and self.rng.random() < self.focus.new_machine:
            return self.folder / f"machine-{self.number()}"
        return self.rng.choice(self.machines)

    def pause(self, process: Process) -> None:
        """Let other processes run. Raises `Died` if the process is dead when it continues."""
        self.hub.switch()
        if process.doomed:
            raise Died

    def run_processes(self) -> None:
        """Let processes take turns until all have ended, or are suspended until another day."""
        limit = self.steps + MOST_STEPS
        while not self.ledger.violations:
            self.processes = [process for process in self.processes if process.is_alive]
            awake = [
                process for process in self.processes if process.is_awake(self.day, self.steps)
            ]
            if not awake and not self.in_flight:
                asleep = [
                    process for process in self.processes if process.asleep_until_day <= self.day
                ]
                if not asleep:
                    return
                self._wait(min(process.asleep for process in asleep) - self.steps)
                continue
            self.steps += 1
            self.now += timedelta(seconds=self.rng.random())
            if self.steps > limit:
                self.ledger.violate("the processes come to an end", f"{awake} go on")
            elif self.in_flight and (not awake or self.rng.random() < 0.05):
                self.deliver(self.in_flight.pop(self.rng.randrange(len(self.in_flight))))
            elif awake:
                self.turn(self._next(awake))

    def _wait(self, steps: int) -> None:
        """Let steps pass in which no process runs."""
        self.steps += steps
        self.now += timedelta(seconds=steps / 2)

    def _next(self, awake: list[Process]) -> Process:
        """Choose the next process; it may get another weight or clock, or be suspended."""
        if len(awake) == 1:
            process = awake[0]
        elif self.focus.order == "by priority":
            process = max(awake, key=lambda candidate: candidate.weight)
        else:
            (process,) = self.rng.choices(awake, [candidate.weight for candidate in awake])
        if self.rng.random() < CHANGES_WEIGHT:
            self.weigh(process)
        if self.occurs("clock step"):
            process.skew += timedelta(seconds=self.rng.choice((-3600, -1, 1, 3600)))
            self.counters["clock set while a process ran"] += 1
        if len(awake) > 1 and self.occurs("suspension"):
            self.suspend_for_some_time(process)
        return process

    def weigh(self, process: Process) -> None:
        """Change how often a process has its turn."""
        process.weight = self.rng.expovariate(1) + 0.05

    def suspend_for_some_time(self, process: Process) -> None:
        """Suspend a process, sometimes until another day."""
        if self.rng.random() < 0.3:
            process.asleep_until_day = self.day + self.rng.randint(1, 3)
            self.counters["process suspended for days"] += 1
            self.log(process.name, f"is suspended until day {process.asleep_until_day}")
        else:
            self.suspend(process, self.rng.randint(20, 300))
            self.counters["process suspended for a while"] += 1

    def suspend(self, process: Process, steps: int) -> None:
        """Give a process no turn for so many steps of the others."""
        process.asleep = self.steps + steps
        self.log(process.name, f"is suspended until step {process.asleep}")

    def turn(self, process: Process) -> None:
        """Let one process go on to its next request."""
        if not process.is_awake(self.day, self.steps):
            return
        self.running = process
        try:
            process.thread.switch()
        finally:
            self.running = None

    def end(self) -> None:
        """End the processes that still run, without effects."""
        for process in self.processes:
            process.doomed = True
            if process.is_alive:
                process.thread.throw(GreenletExit)

    @contextmanager
    def calm(self) -> Iterator[None]:
        """Suppress all faults."""
        self.quiet, self.outage_ends = True, 0
        yield
        self.quiet = False

    # --- messages -------------------------------------------------------------------------

    def send(self, sender: Process, operation: str, request: dict[str, Any], label: str) -> None:
        """Send a request that arrives later, at most once."""
        self.in_flight.append(Message(sender, operation, request, self.now, label))

    def deliver(self, message: Message) -> None:
        """Deliver a request for which no process waits."""
        if self.now - message.sent_at > LIFETIME:
            self.counters["request arrived too late and was refused"] += 1
            return
        try:
            _, changes = self.apply(message.sender, message.operation, message.request)
        except Exception:
            self.counters[f"{message.label}: refused"] += 1
            return
        if changes:
            self.counters[f"{message.label}: took effect"] += 1

    def apply(
        self, sender: Process, operation: str, request: dict[str, Any]
    ) -> tuple[dict[str, Any], list[Change]]:
        """Apply a request to the store, and check every invariant for its changes."""
        try:
            answer, changes = self.bucket.handle(operation, request)
        except Exception as refused:
            self.log(sender.name, f"{operation} {request.get('Key', '')} → {refused}")
            raise
        if self.trace is not None:
            subject = (
                request.get("Key") or request.get("Prefix") or [change.key for change in changes]
            )
            self.log(sender.name, f"{operation} {subject}")
        if changes:
            self.ledger.observe(sender, changes)
        return answer, changes

    def stored(self, key: str) -> Stored | None:
        """The object of a key, read without an event."""
        return self.bucket.objects.get(key)
