"""Diagnosis tasks: which label column of which bulk collection is to be read from a sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from genept.models.heads import HEADS, LINEAR, NEIGHBOURS, SHRUNKEN

MIN_GROUPS: Final = 12
"""Patients or lines that a class needs to be learnt; rarer ones are left out and counted."""


@dataclass(frozen=True)
class DiagnosisTask:
    """One task.

    Parameters
    ----------
    label, cohort
        Columns of table `observations`: what to predict, and what must not be forgotten as
        a whole (by default the collection).
    heads
        What may read the components, the simplest first.
    every_space
        Whether all spaces are scored beside, or the published one and one control.
    forgotten_on_purpose
        Cohorts that the champion knew and that need not come back.
    """

    collection: str
    label: str = "diagnosis"
    cohort: str | None = None
    heads: tuple[str, ...] = (LINEAR, SHRUNKEN, NEIGHBOURS)
    every_space: bool = False
    min_groups: int = MIN_GROUPS
    forgotten_on_purpose: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        """Name of the task's model, such as ``diagnosis-tcga-brca``."""
        return f"{self.label.replace('_', '-')}-{self.collection}"

    @property
    def full(self) -> DiagnosisTask:
        """The same task with every head and every space."""
        return DiagnosisTask(
            self.collection, self.label, self.cohort, HEADS, True, self.min_groups,
            self.forgotten_on_purpose,
        )  # fmt: skip

    @property
    def settings(self) -> dict[str, object]:
        """What decides the result, for its origin."""
        return {
            "label": self.label,
            "cohort": self.cohort,
            "heads": list(self.heads),
            "every_space": self.every_space,
            "min_groups": self.min_groups,
            "forgotten_on_purpose": list(self.forgotten_on_purpose),
        }
