"""Frozen folds: who is tested with whom, in each way of keeping train and test apart.

An assignment has a hash and is published as table `model_folds`, so that another model can
be scored on the very same folds. What groups are is in `genept.models.groups`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.models.groups import connected_groups
from genept.models.holdout import Holdout
from genept.models.splits import Folds, grouped_folds, refuse_group_leak
from genept.store.provenance import sha256_of

ANY = "*"
"""Stands for the observation in folds of drugs, and for the drug in folds of observations."""


class Regime(StrEnum):
    """What the model has never seen when it is tested."""

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
        units = zip(self.observations, self.drugs, self.groups, self.folds, strict=True)
        return sha256_of(
            self.regime, sorted((str(o), str(d), str(g), int(f)) for o, d, g, f in units)
        )

    def table(
        self, model: str, collection_id: str, *, holdout: Holdout | None = None
    ) -> pl.DataFrame:
        """Rows of table ``model_folds``."""
        out = (
            np.zeros(len(self.folds), bool)
            if holdout is None
            else holdout.contains(self.observations)
        )
        return pl.DataFrame(
            {
                "model": model,
                "regime": str(self.regime),
                "collection_id": collection_id,
                "observation_id": self.observations,
                "drug_id": self.drugs,
                "group": self.groups,
                "fold": self.folds,
                "is_holdout": out,
                "folds_sha256": self.sha256,
            }
        )


def frozen_from_table(rows: pl.DataFrame) -> FrozenFolds:
    """Read one assignment back from rows of table ``model_folds``.

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
    frozen = FrozenFolds(
        Regime(rows["regime"][0]),
        rows["observation_id"].to_numpy().astype(np.str_),
        rows["drug_id"].to_numpy().astype(np.str_),
        rows["group"].to_numpy().astype(np.str_),
        rows["fold"].to_numpy().astype(np.int64),
    )
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
    labels: Sequence[str] | NDArray[np.str_] | None = None,
    leave_out: Sequence[str] | NDArray[np.str_] | None = None,
    regime: Regime = Regime.GROUPED,
) -> FrozenFolds:
    """Folds of observations.

    Parameters
    ----------
    labels
        If given, folds keep their shares as nearly as whole groups allow.
    leave_out
        Study or tissue of each row, tested as a whole. A patient in two studies ties them
        together.
    """
    names = np.asarray(groups, dtype=np.str_)
    if leave_out is not None:
        names = connected_groups(list(leave_out), list(groups))
    folds = grouped_folds(names, labels, n_folds, seed)
    return FrozenFolds(
        regime, np.asarray(ids, dtype=np.str_), np.full(len(names), ANY), names, folds
    )


def drug_folds(drugs: Sequence[str], *, n_folds: int, seed: int) -> FrozenFolds:
    """Folds of drugs: the model has seen every line, and never the drug."""
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
    """Random pairs: the model has seen the line and the drug, but not together."""
    lines, names = (np.asarray(one, dtype=np.str_) for one in (observations, drugs))
    pairs = np.char.add(np.char.add(lines, "\n"), names)
    if len(np.unique(pairs)) < len(pairs):
        raise ValueError("a line and drug are paired twice; average them first")
    folds = np.empty(len(pairs), dtype=np.int64)
    # Dealt in the order of their names: the order in which rows come must not matter.
    order = np.argsort(pairs)
    folds[order] = np.random.default_rng(seed).permutation(len(pairs)) % n_folds
    return FrozenFolds(Regime.RANDOM_PAIRS, lines, names, pairs, folds)
