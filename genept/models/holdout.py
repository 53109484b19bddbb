"""The holdout, rows that training code never receives; and frozen folds.

The names of the groups alone decide what is held out, so the holdout is stable as new data
arrive. Training reads a `TrainingView`, which refuses held-out rows. Groups and how folds are made
are in `genept.models.splits`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.models.splits import NEAR_DUPLICATE, Folds, Names, refuse_group_leak
from genept.storage import sha256_of

HOLDOUT_SHARE: Final = 0.2
N_SENTINELS: Final = 40


class HoldoutReadError(ValueError):
    """Training code was handed rows of the holdout."""


@dataclass(frozen=True)
class Rows:
    """Samples of one task, in the order of `ids`.

    Parameters
    ----------
    ids
        Name of each sample, unique.
    groups
        Connected group of each sample, such as its patient: no split cuts one.
    cohorts
        Collection or study of each sample: what must not be forgotten as a whole.
    labels
        Label of each sample.
    features
        Samples × features, by representation.
    duplicate_from
        Correlation from which two profiles are near duplicates in the cohort.

    Raises
    ------
    ValueError
        If lengths differ, or two samples have one name.
    """

    ids: NDArray[np.str_]
    groups: NDArray[np.str_]
    cohorts: NDArray[np.str_]
    labels: NDArray[np.str_]
    features: Mapping[str, NDArray[np.float32]]
    duplicate_from: float = NEAR_DUPLICATE

    def __post_init__(self) -> None:
        n = len(self.ids)
        lengths = {len(column) for column in (self.groups, self.cohorts, self.labels)}
        lengths |= {len(matrix) for matrix in self.features.values()}
        if lengths != {n}:
            raise ValueError(f"{n} samples, but columns or features of {sorted(lengths)} rows")
        if len(np.unique(self.ids)) < n:
            raise ValueError(f"{n} rows name only {len(np.unique(self.ids))} different samples")

    def take(self, at: NDArray[np.bool_] | NDArray[np.intp]) -> Rows:
        """The rows that a mask or positions select, in that order."""
        features = {name: matrix[at] for name, matrix in self.features.items()}
        columns = (self.ids[at], self.groups[at], self.cohorts[at], self.labels[at])
        return Rows(*columns, features, self.duplicate_from)


@dataclass(frozen=True)
class Holdout:
    """Hashes of the ids of the held-out samples, by which they are refused.

    Parameters
    ----------
    hashes
        SHA-256 of each id, hexadecimal.
    """

    hashes: frozenset[str]

    @classmethod
    def of(cls, ids: Iterable[str]) -> Holdout:
        """The holdout that consists of these samples."""
        return cls(frozenset(_hash(str(name)) for name in ids))

    @cached_property
    def sha256(self) -> str:
        """Hash of the whole holdout."""
        return sha256_of(sorted(self.hashes))

    def contains(self, ids: Iterable[str]) -> NDArray[np.bool_]:
        """Which of the samples are held out, in their order, shape (n,)."""
        return np.array([_hash(str(name)) in self.hashes for name in ids], dtype=np.bool_)


@dataclass(frozen=True)
class TrainingView:
    """Rows for training code; held-out rows are refused.

    Parameters
    ----------
    rows
        The rows.
    holdout
        The holdout of the task.

    Raises
    ------
    HoldoutReadError
        If a held-out sample is among the rows.
    """

    rows: Rows
    holdout: Holdout

    def __post_init__(self) -> None:
        read = self.holdout.contains(self.rows.ids)
        if read.any():
            raise HoldoutReadError(
                f"{read.sum()} rows of the holdout were handed to training, such as "
                f"{self.rows.ids[read][0]}: train on what `held_apart` returns"
            )


def hold_out(
    ids: Names, members: Names, groups: NDArray[np.str_], *, task: str, share: float = HOLDOUT_SHARE
) -> Holdout:
    """Choose the holdout as a function of the groups' names alone.

    A component is held out if any patient or line in it is drawn, by the hash of its name. A
    sample that was held out stays so when new samples arrive, or tie two groups together.

    Parameters
    ----------
    ids, members, groups
        Name of each sample, its patient or line as published, and its connected component.
    task
        Name of the task: every task has a holdout of its own.
    share
        Probability that a patient or line is drawn, and its whole component with it.
    """
    drawn = {name: int(_hash(f"{task}\n{name}")[:12], 16) / 16**12 < share for name in set(members)}
    out = {group for group, name in zip(groups, members, strict=True) if drawn[str(name)]}
    return Holdout.of(name for name, group in zip(ids, groups, strict=True) if group in out)


def held_apart(rows: Rows, holdout: Holdout) -> tuple[TrainingView, Rows]:
    """Split the rows into those for training and the held-out rows, in their order.

    Raises
    ------
    HoldoutReadError
        If a group has rows on both sides.
    """
    out = holdout.contains(rows.ids)
    if shared := set(rows.groups[out]) & set(rows.groups[~out]):
        raise HoldoutReadError(
            f"{len(shared)} groups lie on both sides of the holdout, such as {min(shared)}: "
            "hold out whole groups with `hold_out`"
        )
    return TrainingView(rows.take(~out), holdout), rows.take(out)


def planted_labels(rows: Rows, holdout: Holdout, *, seed: int) -> tuple[Rows, NDArray[np.bool_]]:
    """The rows with random labels for up to 40 of the holdout: the sentinels.

    Code that reads held-out labels learns these. A model that predicts them better than chance
    has read the holdout. Also returned is which rows are sentinels.
    """
    rng = np.random.default_rng(seed)
    out = np.flatnonzero(holdout.contains(rows.ids))
    chosen = rng.permutation(out)[:N_SENTINELS]
    labels = rows.labels.copy()
    labels[chosen] = rng.choice(np.unique(rows.labels), size=len(chosen))
    sentinel = np.zeros(len(rows.ids), dtype=np.bool_)
    sentinel[chosen] = True
    return replace(rows, labels=labels), sentinel


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


ANY = "*"
"""Stands for the observation in folds of drugs, and for the drug in folds of observations."""


class Regime(StrEnum):
    """What is left out of training when the model is tested."""

    GROUPED = "grouped"
    LEAVE_STUDY_OUT = "leave-study-out"
    LEAVE_CELL_LINE_OUT = "leave-cell-line-out"
    LEAVE_TISSUE_OUT = "leave-tissue-out"
    LEAVE_DRUG_OUT = "leave-drug-out"
    LEAVE_TARGET_OUT = "leave-target-out"
    LEAVE_DRUG_AND_LINE_OUT = "leave-drug-and-line-out"
    RANDOM_PAIRS = "random-pairs"


class ChangedFoldsError(ValueError):
    """An assignment is not the one whose hash was published."""


@dataclass(frozen=True)
class FrozenFolds:
    """One assignment of units to folds, one entry per unit.

    A unit is an observation, a drug or a pair of both; what it is not is ``*``.

    Parameters
    ----------
    regime
        What is left out of training.
    observations, drugs
        Names of the units, shape (n,).
    groups, folds
        Group and fold of each unit, shape (n,); a group in two folds raises GroupLeakError.
    """

    regime: Regime
    observations: NDArray[np.str_]
    drugs: NDArray[np.str_]
    groups: NDArray[np.str_]
    folds: Folds

    def __post_init__(self) -> None:
        refuse_group_leak(self.groups, self.folds)

    @classmethod
    def of_observations(
        cls, regime: Regime, ids: NDArray[np.str_], groups: NDArray[np.str_], folds: Folds
    ) -> FrozenFolds:
        """An assignment whose units are observations."""
        return cls(regime, ids, np.full(len(ids), ANY), groups, folds)

    @cached_property
    def sha256(self) -> str:
        """Hash of regime, units, groups and folds; the order of units does not matter."""
        columns = (self.observations, self.drugs, self.groups, self.folds)
        units = sorted(zip(*(column.tolist() for column in columns), strict=True))
        return sha256_of(self.regime, units)

    def table(
        self, model: str, collection_id: str, *, holdout: Holdout | None = None
    ) -> pl.DataFrame:
        """Rows of table ``model_folds``."""
        return pl.DataFrame(
            {
                "model": model,
                "regime": str(self.regime),
                "collection_id": collection_id,
                "observation_id": self.observations,
                "drug_id": self.drugs,
                "group": self.groups,
                "fold": self.folds,
                "is_holdout": (holdout or Holdout(frozenset())).contains(self.observations),
                "folds_sha256": self.sha256,
            }
        )


def frozen_from_table(rows: pl.DataFrame) -> FrozenFolds:
    """Read one assignment back from rows of table ``model_folds``, of one model and regime.

    Raises
    ------
    ChangedFoldsError
        If the rows are not those that were hashed: one was moved, added or lost.
    """
    keys = rows.select("model", "regime", "folds_sha256").unique()
    if len(keys) != 1:
        raise ChangedFoldsError(
            f"{len(keys)} assignments are mixed: filter for one model and regime"
        )
    observations, drugs, groups = (
        rows[name].to_numpy().astype(np.str_) for name in ("observation_id", "drug_id", "group")
    )
    folds = rows["fold"].to_numpy().astype(np.int64)
    frozen = FrozenFolds(Regime(rows["regime"][0]), observations, drugs, groups, folds)
    if frozen.sha256 != rows["folds_sha256"][0]:
        raise ChangedFoldsError(
            f"the folds of {rows['model'][0]}, {frozen.regime}, have the hash "
            f"{frozen.sha256[:12]}, published was {rows['folds_sha256'][0][:12]}: "
            "load the table from its release again"
        )
    return frozen
