"""A process of the simulation, and a request that it sent and nobody waits for any more.

When a process runs is decided in `world`, what it does in `runs` and `people`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from genept.common.errors import UnreachableStoreError


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

    def is_awake(self, day: int, step: int) -> bool:
        """Whether it may have its turn."""
        return self.asleep_until_day <= day and self.asleep <= step

    @property
    def is_alive(self) -> bool:
        return self.thread is not None and not self.thread.dead
