"""Groups: tied by any shared id or near-duplicate profile, named independently of the order."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

import genept.models.splits.groups
from genept.models.splits.groups import connected_groups, near_duplicates

rows = st.lists(
    st.tuples(st.integers(0, 12), st.one_of(st.none(), st.integers(0, 12))),
    min_size=1,
    max_size=40,
)


@settings(max_examples=80, deadline=None)
@given(rows=rows, seed=st.integers(0, 1000))
def test_rows_that_share_anything_share_a_group_and_nothing_else_does(rows, seed):
    patients = [f"p{patient:02}" for patient, _ in rows]
    lines = [None if line is None else f"l{line:02}" for _, line in rows]
    groups = connected_groups(patients, lines)
    closure = np.array(
        [
            [a == b or (x is not None and x == y) for b, y in zip(patients, lines, strict=True)]
            for a, x in zip(patients, lines, strict=True)
        ]
    )
    for _ in range(len(rows).bit_length()):
        closure = (closure.astype(int) @ closure.astype(int)) > 0
    assert ((groups[:, None] == groups[None, :]) == closure).all()
    order = np.random.default_rng(seed).permutation(len(rows))
    shuffled = connected_groups([patients[i] for i in order], [lines[i] for i in order])
    assert (shuffled == groups[order]).all()


def test_near_duplicates_are_found_across_blocks(monkeypatch):
    monkeypatch.setattr(genept.models.splits.groups, "_BLOCK", 7)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 300))
    X[33] = np.exp(X[4])  # another scale, the same ranks
    X[20] = X[19] + 0.02 * rng.normal(size=300)
    X[21] = X[19] + 0.5 * rng.normal(size=300)
    X[10] = 3.0
    assert spearmanr(X[19], X[20]).statistic >= 0.99 > spearmanr(X[19], X[21]).statistic
    pairs = {(int(a), int(b)) for a, b in near_duplicates(X)}
    assert pairs == {(4, 33), (19, 20)}
    assert {(int(a), int(b)) for a, b in near_duplicates(sp.csr_matrix(X))} == pairs


def test_a_patient_under_two_ids_is_one_group():
    X = np.random.default_rng(1).normal(size=(6, 200))
    X[5] = X[0]
    patients = [f"patient-{row}" for row in range(6)]
    groups = connected_groups(patients, duplicates=near_duplicates(X))
    assert groups.tolist() == [*patients[:5], "patient-0"]


def test_a_row_without_a_group_is_refused():
    with pytest.raises(ValueError, match="the first is row 1"):
        connected_groups(["a", None])
    with pytest.raises(ValueError, match="give one length"):
        connected_groups(["a", "b"], ["x"])
