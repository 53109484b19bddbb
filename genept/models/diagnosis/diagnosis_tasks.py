"""Diagnosis tasks: which label column of which bulk collection a model predicts.

A collection with diagnoses has a task by default; any other label column becomes one by an entry
in `tasks.toml`, or in a file of the user. Training is in
`genept.models.diagnosis.diagnosis_training`.
"""

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from genept.common import StoreError, problems_of
from genept.models.heads import HEADS, USUAL_HEADS

MIN_GROUPS: Final = 12
"""Fewest patients or lines of a class; rarer classes are left out and counted."""
Label = Literal["batch", "cell_type", "tissue", "tissue_subtype", "diagnosis"]


class TasksError(StoreError):
    """A file of tasks cannot be read, or an entry of it is wrong."""


class TaskEntry(BaseModel):
    """One entry of a file of tasks; its heading is the model's name.

    Parameters
    ----------
    collection
        Id of the bulk collection.
    label, cohort
        Columns of table `observations`: the label to predict, and the cohorts of which none may be
        missing from a retraining (by default the collection).
    only
        Labels that a sample must have to take part, such as diagnosis: tumor.
    min_groups
        Fewest patients or lines of a class; rarer classes are left out and counted.
    forgotten_on_purpose
        Cohorts that the champion knew and that need not come back.
    full
        Only where the settings ask for full models.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    collection: str
    label: Label
    cohort: Label | None = None
    only: dict[Label, str] = {}
    min_groups: int = Field(MIN_GROUPS, ge=5, description="That a class needs to be learnt.")
    forgotten_on_purpose: tuple[str, ...] = ()
    full: bool = Field(False, description="Only where the settings ask for full models.")


_ENTRIES: Final = TypeAdapter(dict[str, TaskEntry])


class DiagnosisTask(TaskEntry):
    """One task; `full` is whether every head and every space is scored.

    Parameters
    ----------
    name
        Name of the model, if it is not that of label and collection.
    """

    label: Label = "diagnosis"
    name: str | None = None

    @property
    def model(self) -> str:
        """Name of the task's model, such as ``diagnosis-tcga-brca``."""
        return self.name or f"{self.label.replace('_', '-')}-{self.collection}"

    @property
    def heads(self) -> tuple[str, ...]:
        """Heads to choose among, the simplest first."""
        return HEADS if self.full else USUAL_HEADS

    @property
    def settings(self) -> dict[str, object]:
        """What decides the result, for its origin."""
        fields = self.model_dump(mode="json", exclude={"collection", "name", "full"})
        return {**fields, "heads": list(self.heads), "every_space": self.full}

    def takes_part(self, observations: pl.DataFrame) -> pl.Series:
        """Which observations have the label, and the others that the task asks for."""
        conditions = [pl.col(name) == value for name, value in self.only.items()]
        return observations.select(
            pl.all_horizontal(pl.col(self.label).is_not_null(), *conditions).fill_null(False)
        ).to_series()

    def impossible(self, observations: pl.DataFrame) -> str | None:
        """Why no model can be trained on these observations; None if one can."""
        rows = observations.filter(self.takes_part(observations))
        if not rows.height:
            return f"no sample has a {self.label}"
        groups = rows.group_by(self.label).agg(pl.col("group_id").n_unique().alias("n"))
        if groups.filter(pl.col("n") >= self.min_groups).height > 1:
            return None
        listed = ", ".join(f"{name!r} {n}" for name, n in groups.sort(self.label).iter_rows())
        return (
            f"fewer than two values of {self.label} are in {self.min_groups} groups or more: "
            f"{listed}"
        )


def load_tasks(own: Path | None = None) -> dict[str, TaskEntry]:
    """The entries of the library, and those of a file of the user.

    Parameters
    ----------
    own
        A file of the user, whose entries take precedence.

    Returns
    -------
    dict
        Entries by name of the model.

    Raises
    ------
    TasksError
        A file cannot be read, or an entry is wrong; names it.
    """
    shipped = resources.files("genept.models.diagnosis") / "tasks.toml"
    entries = _entries(shipped.read_text("utf-8"), "tasks.toml")
    if own is None:
        return entries
    try:
        return entries | _entries(own.read_text("utf-8"), str(own))
    except (OSError, UnicodeDecodeError) as error:
        raise TasksError(f"the file of tasks {own} cannot be read: {error}") from error


def tasks_of(
    collection: str, entries: Mapping[str, TaskEntry], *, full: bool = False
) -> list[DiagnosisTask]:
    """The tasks of one collection: its diagnosis, unless an entry replaces it, and the entries.

    Parameters
    ----------
    collection
        Id of the collection.
    entries
        Entries by name of the model.
    full
        With every head and space, and the entries that ask for that.

    Returns
    -------
    list of DiagnosisTask
        The diagnosis first, then entries in their order.
    """
    usual = DiagnosisTask(collection=collection)
    tasks = {usual.model: usual} | {
        name: DiagnosisTask(**entry.model_dump(), name=name)
        for name, entry in entries.items()
        if entry.collection == collection and (full or not entry.full)
    }
    return [task.model_copy(update={"full": full}) for task in tasks.values()]


def _entries(text: str, where: str) -> dict[str, TaskEntry]:
    try:
        return _ENTRIES.validate_python(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise TasksError(f"{where} is no TOML: {error}") from error
    except ValidationError as error:
        raise TasksError(f"{where} has a wrong entry: {problems_of(error)}") from error
