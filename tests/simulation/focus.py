"""The focus of a seed: which actors, faults, time spans and suspensions are frequent in it.

Each seed draws its own focus, in which some of them are frequent and others are absent.
Combinations of events that would be rare if every seed had everything are frequent in some seeds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Literal, Self

FAULTS = (
    "request lost", "answer lost", "unavailable", "conflict", "body cut", "twice", "cut off",
    "clock step",
)  # fmt: skip
CALENDARS = (
    (1, 20, 48), (48, 8 * 24), (48, 31 * 24), (31 * 24,), (1, 20, 48, 8 * 24, 31 * 24, 45 * 24),
)  # fmt: skip
"""Hours that may lie between two days: each seed has one of these calendars."""

SPOTS = {
    "read of the pointer": ("get_object", r"/current\.json"),
    "write of the pointer": ("put_object", r"/current\.json"),
    "read of the claim": ("get_object", r"/run\.json"),
    "write of the claim": ("put_object", r"/run\.json"),
    "read of the list of garbage": ("get_object", r"/gc/"),
    "write of the list of garbage": ("put_object", r"/gc/"),
    "read of a release": ("get_object", r"/releases/"),
    "write of a release": ("put_object", r"/releases/"),
    "write of a manifest": ("put_object", r"/manifest\.json"),
    "write of a part": ("put_object", r"/lake/.*\.parquet"),
    "write of a record": ("put_object", r"/lake/records/"),
    "write of a table's note": ("put_object", r"/lake/tables/"),
    "read of approvals": ("list_objects_v2", r"/approvals/"),
    "write of a hold or an approval": ("put_object", r"/approvals/"),
    "deletion": ("delete_objects", ""),
}
"""Requests before which processes are suspended: the operation, and a part of the key."""

Order = Literal["by weight", "by priority"]


@dataclass(frozen=True)
class Focus:
    """What a seed draws before its simulation begins.

    Parameters
    ----------
    rates
        Probability of each fault whenever it could happen.
    spots
        Kinds of requests before which processes are suspended.
    order
        Whether turns are drawn by the weights of processes, or the heaviest one has all turns.
    calendar
        Time spans that may lie between two days.
    actors
        Probability that an actor of a kind is present on a day.
    runs
        Minimum and maximum number of runs that begin on a day.
    content_weights
        Weights of the content that runs build: held, the current one with other values, any.
    far_rollback
        Probability that an operator rolls back by more than one release.
    suspended_run_kept
        Probability that a run which is suspended overnight is not given up.
    new_machine
        Probability that a process starts on a machine without cached files.
    manifest_lost
        Probability that somebody deletes a manifest by hand between two days.
    """

    rates: dict[str, float]
    spots: tuple[str, ...]
    order: Order
    calendar: tuple[timedelta, ...]
    days: int
    actors: dict[str, float]
    runs: tuple[int, int]
    content_weights: tuple[float, float, float]
    far_rollback: float
    suspended_run_kept: float
    new_machine: float
    manifest_lost: float

    @classmethod
    def draw(cls, rng: Random) -> Self:
        """Draw a focus."""
        rates = {fault: rng.choice((0.0, 0.0, 0.003, 0.015, 0.04)) for fault in FAULTS} | {
            "late": rng.choice((0.0, 0.01, 0.05)),
            "death": rng.choice((0.0, 0.002, 0.01)),
            "suspension": rng.choice((0.0, 0.002, 0.006)),
            "suspension at a spot": rng.choice((0.0, 0.1, 0.4)),
            "suspension before a swap": rng.choice((0.0, 0.2, 0.5)),
            "suspension after a review": rng.choice((0.0, 0.0, 0.4)),
            "outage": rng.choice((0.0, 0.0, 0.002)),
        }
        if rng.random() < 0.2:  # a network without faults: only the order of events matters
            rates |= dict.fromkeys(FAULTS, 0.0)
        return cls(
            rates=rates,
            spots=tuple(rng.sample(sorted(SPOTS), rng.randint(1, 2))),
            order=rng.choice(("by weight", "by priority")),
            calendar=tuple(timedelta(hours=hours) for hours in rng.choice(CALENDARS)),
            days=rng.randint(1, 3),
            actors={
                "reader": rng.choice((0.0, 0.0, 0.5)),
                "first version": rng.choice((0.0, 0.0, 0.5)),
                "collector": rng.choice((0.0, 0.7, 1.0)),
                "operator": rng.choice((0.0, 0.7, 1.0)),
                "approver": rng.choice((0.0, 0.7, 1.0)),
            },
            runs=rng.choice(((0, 0), (0, 1), (0, 3), (1, 1), (1, 2), (1, 3))),
            content_weights=rng.choice(((1, 0, 1), (0, 1, 0), (0, 0, 1), (1, 1, 1))),
            far_rollback=rng.choice((0.0, 0.7, 1.0)),
            suspended_run_kept=rng.choice((0.2, 0.9)),
            new_machine=rng.choice((0.0, 0.0, 0.5)),
            manifest_lost=rng.choice((0.0, 0.0, 0.5)),
        )

    def suspends_at(self, operation: str, key: str) -> bool:
        """Whether a request is one before which processes are suspended."""
        return any(
            operation == kind and re.search(part, key) is not None
            for kind, part in (SPOTS[spot] for spot in self.spots)
        )
