"""The holdout: stable as data arrives, whole groups, refused to training; and frozen folds."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genept.models.drug_response.regimes import observation_folds
from genept.models.holdout import (
    ANY,
    ChangedFoldsError,
    FrozenFolds,
    HoldoutReadError,
    Regime,
    Rows,
    TrainingView,
    frozen_from_table,
    held_apart,
    hold_out,
    planted_labels,
)
from genept.models.splits import GroupLeakError, connected_groups
from genept.schema.tables import TABLES

IDS = [f"o{row}" for row in range(60)]
PATIENTS = [f"p{row // 2}" for row in range(60)]


def rows_of(patients, labels=None):
    n = len(patients)
    return Rows(
        np.array([f"s{row}" for row in range(n)]),
        np.asarray(patients, dtype=np.str_),
        np.full(n, "cohort"),
        np.asarray(labels if labels is not None else ["A", "B"] * (n // 2) + ["A"] * (n % 2)),
        {"expression": np.arange(2 * n, dtype=np.float32).reshape(n, 2)},
    )


def held_out_of(rows):
    return hold_out(rows.ids, rows.groups, rows.groups, task="t")


@settings(max_examples=50, deadline=None)
@given(patients=st.lists(st.integers(0, 60), min_size=2, max_size=80), more=st.integers(0, 40))
def test_whoever_is_held_out_stays_so_and_groups_stay_whole(patients, more):
    names = [f"p{patient}" for patient in patients]
    before = held_out_of(rows_of(names)).hashes
    grown = rows_of([*names, *(f"p{60 + n}" for n in range(more))])
    holdout = held_out_of(grown)
    assert before <= holdout.hashes
    view, out = held_apart(grown, holdout)
    assert not set(view.rows.groups) & set(out.groups)
    assert len(view.rows.ids) + len(out.ids) == len(grown.ids)


def test_tying_two_groups_together_never_brings_a_held_out_row_back():
    names = [f"p{row}" for row in range(60)]
    rows = rows_of(names)
    holdout = held_out_of(rows)
    out = np.flatnonzero(holdout.contains(rows.ids))
    inside = np.flatnonzero(~holdout.contains(rows.ids))
    assert 4 < len(out) < 25
    tied = connected_groups(names, duplicates=np.array([[inside[0], out[0]]]))
    grown = hold_out(rows.ids, names, tied, task="t")
    assert (
        grown.hashes
        == holdout.hashes
        | hold_out(rows.ids[inside[:1]], ["x"], np.array(["x"]), task="t", share=1.0).hashes
    )


def test_training_cannot_be_handed_a_held_out_row():
    rows = rows_of([f"p{row}" for row in range(50)])
    holdout = held_out_of(rows)
    with pytest.raises(HoldoutReadError, match="rows of the holdout were handed to training"):
        TrainingView(rows, holdout)
    split_group = Rows(
        rows.ids, np.full(50, "one patient"), rows.cohorts, rows.labels, rows.features
    )
    with pytest.raises(HoldoutReadError, match="both sides"):
        held_apart(split_group, holdout)


def test_sentinels_lie_in_the_holdout_only():
    rows = rows_of([f"p{row}" for row in range(400)])
    holdout = held_out_of(rows)
    planted, sentinel = planted_labels(rows, holdout, seed=0)
    assert sentinel.sum() == 40
    assert holdout.contains(rows.ids[sentinel]).all()
    assert (planted.labels[~sentinel] == rows.labels[~sentinel]).all()
    assert 5 < (planted.labels[sentinel] != rows.labels[sentinel]).sum() < 35


def test_folds_are_published_and_read_back_unless_they_changed():
    frozen = observation_folds(Regime.GROUPED, IDS, PATIENTS, None, n_folds=5, seed=1)
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
