"""Frozen folds: each regime leaves out what it says, and a changed assignment is noticed."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genept.models.splits.folds import (
    ANY,
    ChangedFoldsError,
    FrozenFolds,
    Regime,
    drug_folds,
    frozen_from_table,
    observation_folds,
    pair_folds,
)
from genept.models.splits.groups import GroupLeakError
from genept.schema.tables import TABLES

IDS = [f"o{row}" for row in range(60)]
PATIENTS = [f"p{row // 2}" for row in range(60)]


def in_folds(names, folds):
    return {name: {int(f) for f in folds[np.asarray(names) == name]} for name in set(names)}


@settings(max_examples=40, deadline=None)
@given(
    tissues=st.lists(st.integers(0, 6), min_size=30, max_size=30).filter(lambda t: len(set(t)) > 3),
    seed=st.integers(0, 999),
)
def test_a_tissue_or_study_is_left_out_whole_and_no_patient_is_cut(tissues, seed):
    left_out = [f"t{tissues[row // 2]}" for row in range(60)]
    frozen = observation_folds(
        IDS, PATIENTS, n_folds=3, seed=seed, leave_out=left_out, regime=Regime.LEAVE_TISSUE_OUT
    )
    assert all(len(held) == 1 for held in in_folds(left_out, frozen.folds).values())
    assert all(len(held) == 1 for held in in_folds(PATIENTS, frozen.folds).values())


def test_a_patient_in_two_studies_ties_them_together():
    studies = ["s1", "s2"] + [f"s{3 + row % 4}" for row in range(58)]
    frozen = observation_folds(
        IDS,
        ["p", "p", *(f"q{row}" for row in range(58))],
        n_folds=3,
        seed=0,
        leave_out=studies,
        regime=Regime.LEAVE_STUDY_OUT,
    )
    assert frozen.folds[0] == frozen.folds[1]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), n_folds=st.integers(2, 6))
def test_drugs_and_pairs_are_dealt_evenly_whatever_their_order(seed, n_folds):
    drugs = [f"d{n}" for n in range(13)]
    of_drugs = drug_folds(drugs * 3, n_folds=n_folds, seed=seed)
    assert sorted(of_drugs.drugs) == sorted(drugs)
    assert set(of_drugs.observations) == {ANY}
    lines, names = np.repeat(IDS[:8], 13), np.tile(drugs, 8)
    pairs = pair_folds(lines, names, n_folds=n_folds, seed=seed)
    assert np.ptp(np.bincount(pairs.folds, minlength=n_folds)) <= 1
    order = np.random.default_rng(seed).permutation(len(lines))
    again = pair_folds(lines[order], names[order], n_folds=n_folds, seed=seed)
    assert (again.folds == pairs.folds[order]).all()
    assert again.sha256 == pairs.sha256


def test_folds_are_published_and_read_back_unless_they_changed():
    frozen = observation_folds(IDS, PATIENTS, n_folds=5, seed=1)
    table = frozen.table("diagnosis-planted", "planted")
    declared = pl.from_arrow(TABLES["model_folds"].schema().empty_table())
    assert table.cast(dict(declared.schema)).columns == declared.columns
    assert frozen_from_table(table.sample(fraction=1, shuffle=True, seed=0)).sha256 == frozen.sha256
    with pytest.raises(ChangedFoldsError, match="load the table from its release"):
        frozen_from_table(table.head(58))
    moved = table.with_columns(
        pl.when(pl.col("group") == "p3")
        .then((pl.col("fold") + 1) % 5)
        .otherwise("fold")
        .alias("fold")
    )
    with pytest.raises(ChangedFoldsError):
        frozen_from_table(moved)
    with pytest.raises(ChangedFoldsError, match="2 assignments are mixed"):
        frozen_from_table(pl.concat([table, frozen.table("another", "planted")]))


def test_an_assignment_with_a_leak_cannot_be_made():
    with pytest.raises(GroupLeakError, match="such as p1"):
        FrozenFolds(
            Regime.GROUPED, np.array(["a", "b"]), np.full(2, ANY), np.array(["p1", "p1"]),
            np.array([0, 1]),
        )  # fmt: skip
