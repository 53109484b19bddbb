"""A process of the simulation, and a request in flight for which no process waits.

When a process runs is decided in `world`, what it does in `runs`, `readers` and `people`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from genept.common.errors import UnreachableStoreError


class Died(BaseException):
    """The process is dead and runs no further. No code of the library may catch this."""


@dataclass
class Message:
    """A request in flight, for which no process waits."""

    sender: Process
    operation: str
    request: dict[str, Any]
    sent_at: datetime
    label: str


@dataclass
class Process:
    """One process of one machine.

    Parameters
    ----------
    skew
        By how much its clock is ahead.
    cache
        Its machine's folder of cached files, shared by the processes of that machine.
    run
        Name of the orchestrator's run that it is a step of; none for readers and people.
    is_later
        Whether it runs a later version, which writes optional fields that this version lacks.
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
        """Whether the network caused an error."""
        return self.gave_up or (self.was_cut and isinstance(error, UnreachableStoreError))

    def is_awake(self, day: int, step: int) -> bool:
        """Whether it may have its turn."""
        return self.asleep_until_day <= day and self.asleep <= step

    @property
    def is_alive(self) -> bool:
        return self.thread is not None and not self.thread.dead
