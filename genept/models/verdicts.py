"""What the gate found, as it is stored and published."""

from __future__ import annotations

from typing import Final, Literal

import polars as pl

from genept.store.manifest import Document

PASS: Final = "pass"  # noqa: S105 - a verdict
REFUSE: Final = "refuse"
WAIT: Final = "wait"
Answer = tuple[str, str]
"""An outcome, and the evidence for it in words."""


class Verdict(Document):
    """One point of the gate: what it asks, what it found, and on what evidence."""

    point: int
    name: str
    outcome: Literal["pass", "refuse", "wait"]
    evidence: str


class Verdicts(Document):
    """All points, about one version of one model."""

    model: str
    version: str
    collection: str
    champion_version: str | None
    points: tuple[Verdict, ...]

    @property
    def refused(self) -> tuple[Verdict, ...]:
        """The points that stand against a promotion for good."""
        return tuple(one for one in self.points if one.outcome == REFUSE)

    @property
    def waiting(self) -> tuple[Verdict, ...]:
        """The points that a person has to decide."""
        return tuple(one for one in self.points if one.outcome == WAIT)

    @property
    def promotes(self) -> bool:
        """Whether the candidate becomes champion by itself."""
        return not self.refused and not self.waiting

    def table(self) -> pl.DataFrame:
        """Rows of table ``gate_verdicts``."""
        return pl.DataFrame(
            [
                {
                    "model": self.model,
                    "model_version": self.version,
                    "point": one.point,
                    "name": one.name,
                    "outcome": one.outcome,
                    "evidence": one.evidence,
                    "collection_id": self.collection,
                    "champion_version": self.champion_version,
                }
                for one in self.points
            ],
            schema_overrides={"champion_version": pl.String},
        )
