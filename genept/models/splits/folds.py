"""Frozen folds that keep groups whole, for each way of separating train and test.

Groups themselves are in `genept.models.splits.groups`, the holdout in
`genept.models.splits.holdout`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from genept.models.splits.groups import complete, connected_groups, refuse_group_leak
from genept.models.splits.holdout import Holdout
from genept.storage import sha256_of

Folds = NDArray[np.int64]


def grouped_folds(
    groups: Sequence[str] | NDArray[np.str_],
    labels: Sequence[str] | NDArray[np.str_] | None,
    n_folds: int,
    seed: int,
) -> Folds:
    """Assign rows to folds so that no group is in two.

    Parameters
    ----------
    groups
        Patient, donor or cell line of each row.
    labels
        If given, folds keep the share of each label as nearly as whole groups allow.
    n_folds, seed
        Number of folds; the same seed and rows give the same folds.

    Returns
    -------
    Folds
        Fold of each row, 0 … `n_folds` − 1.

    Raises
    ------
    ValueError
        For a row without a group or label, for fewer groups than folds, for a label
        in fewer groups than folds (it would be missing from a fold), or if whole
        groups are so unequal that a fold stays empty.
    """
    names = complete("group", groups)
    n_groups = len(np.unique(names))
    if not 2 <= n_folds <= n_groups:
        raise ValueError(f"{n_folds} folds cannot be made of {n_groups} groups")
    rows = np.zeros((len(names), 1))
    if labels is None:
        parts = GroupKFold(n_folds, shuffle=True, random_state=seed).split(rows, groups=names)
    else:
        classes = complete("label", labels)
        _refuse_rare(classes, names, n_folds)
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        parts = splitter.split(rows, classes, names)
    folds = np.empty(len(names), dtype=np.int64)
    for fold, (_, test) in enumerate(parts):
        folds[test] = fold
    if len(np.unique(folds)) < n_folds:
        raise ValueError(
            f"the {n_groups} groups are too unequal in size for {n_folds} folds: "
            "one stays empty; use fewer folds"
        )
    refuse_group_leak(names, folds)
    return folds


def _refuse_rare(labels: NDArray[np.str_], groups: NDArray[np.str_], n_folds: int) -> None:
    if len(labels) != len(groups):
        raise ValueError(f"{len(labels)} labels but {len(groups)} groups")
    pairs = sorted(set(zip(labels.tolist(), groups.tolist(), strict=True)))
    in_groups = Counter(label for label, _ in pairs)
    if rare := [f"{name!r} in {n}" for name, n in in_groups.items() if n < n_folds]:
        listed = ", ".join(rare)
        raise ValueError(
            f"labels in fewer groups than the {n_folds} folds: {listed}; "
            "leave them out, merge them, or use fewer folds"
        )


ANY = "*"
"""Stands for the observation in folds of drugs, and for the drug in folds of observations."""


class Regime(StrEnum):
    """What is left out of training when the model is tested."""

    GROUPED = "grouped"
    LEAVE_STUDY_OUT = "leave-study-out"
    LEAVE_CELL_LINE_OUT = "leave-cell-line-out"
    LEAVE_TISSUE_OUT = "leave-tissue-out"
    LEAVE_DRUG_OUT = "leave-drug-out"
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
        held_out = holdout or Holdout(frozenset())
        return pl.DataFrame(
            {
                "model": model,
                "regime": str(self.regime),
                "collection_id": collection_id,
                "observation_id": self.observations,
                "drug_id": self.drugs,
                "group": self.groups,
                "fold": self.folds,
                "is_holdout": held_out.contains(self.observations),
                "folds_sha256": self.sha256,
            }
        )


def frozen_from_table(rows: pl.DataFrame) -> FrozenFolds:
    """Read one assignment back from rows of table ``model_folds``.

    Parameters
    ----------
    rows
        Those of one model and regime.

    Returns
    -------
    FrozenFolds
        The assignment, which has the published hash.

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


def observation_folds(
    ids: Sequence[str] | NDArray[np.str_],
    groups: Sequence[str] | NDArray[np.str_],
    *,
    n_folds: int,
    seed: int,
    leave_out: Sequence[str] | NDArray[np.str_] | None = None,
    regime: Regime = Regime.GROUPED,
) -> FrozenFolds:
    """Folds of observations.

    Parameters
    ----------
    ids, groups
        Name of each row, and its patient, donor or cell line.
    n_folds, seed
        As in `grouped_folds`.
    leave_out
        Study or tissue of each row, tested as a whole. A patient in two studies ties them
        together.
    regime
        What is left out, for the record.

    Returns
    -------
    FrozenFolds
        One unit per row; the drug is ``*``.
    """
    observations, names = (np.asarray(each, dtype=np.str_) for each in (ids, groups))
    if leave_out is not None:
        names = connected_groups(list(leave_out), list(groups))
    folds = grouped_folds(names, None, n_folds, seed)
    return FrozenFolds(regime, observations, np.full(len(names), ANY), names, folds)


def drug_folds(drugs: Sequence[str], *, n_folds: int, seed: int) -> FrozenFolds:
    """Folds of drugs: the model has seen every line, and never the drug.

    Parameters
    ----------
    drugs
        Names; repetitions count once.
    n_folds, seed
        As in `grouped_folds`.

    Returns
    -------
    FrozenFolds
        One unit per drug, by name; the observation is ``*``.
    """
    names = np.unique(np.asarray(drugs, dtype=np.str_))
    folds = grouped_folds(names, None, n_folds, seed)
    return FrozenFolds(Regime.LEAVE_DRUG_OUT, np.full(len(names), ANY), names, names, folds)


def pair_folds(
    observations: Sequence[str] | NDArray[np.str_],
    drugs: Sequence[str] | NDArray[np.str_],
    *,
    n_folds: int,
    seed: int,
) -> FrozenFolds:
    """Random pairs: the model has seen the line and the drug, but not together.

    Parameters
    ----------
    observations, drugs
        Cell line and drug of each pair, shape (n,).
    n_folds, seed
        As in `grouped_folds`.

    Returns
    -------
    FrozenFolds
        One unit per pair, in the order given.

    Raises
    ------
    ValueError
        If a pair occurs twice.
    """
    lines, names = (np.asarray(names_of, dtype=np.str_) for names_of in (observations, drugs))
    pairs = np.char.add(np.char.add(lines, "\n"), names)
    if len(np.unique(pairs)) < len(pairs):
        raise ValueError("a line and drug are paired twice; average them first")
    folds = np.empty(len(pairs), dtype=np.int64)
    # Assigned in the order of their names: the order of the rows must not matter.
    order = np.argsort(pairs)
    folds[order] = np.random.default_rng(seed).permutation(len(pairs)) % n_folds
    return FrozenFolds(Regime.RANDOM_PAIRS, lines, names, pairs, folds)
