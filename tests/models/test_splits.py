"""Splits: what belongs together is one group, no group is in two folds, bad input is named."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

import genept.models.splits
from genept.models.holdout import hold_out
from genept.models.splits import (
    NEAR_DUPLICATE,
    GroupLeakError,
    cohort_duplicates,
    connected_groups,
    cut_duplicates,
    grouped_folds,
    near_duplicates,
    refuse_group_leak,
)

cohorts = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from("ABC")), min_size=10, max_size=80
).filter(lambda rows: len({group for group, _ in rows}) >= 5)


@settings(max_examples=60, deadline=None)
@given(rows=cohorts, n_folds=st.integers(2, 5), seed=st.integers(0, 10_000))
def test_no_group_is_in_two_folds(rows, n_folds, seed):
    groups = [f"patient-{group}" for group, _ in rows]
    folds = grouped_folds(groups, None, n_folds, seed)
    assert set(folds) == set(range(n_folds))
    for group in set(groups):
        assert len({f for f, g in zip(folds, groups, strict=True) if g == group}) == 1
    assert (folds == grouped_folds(groups, None, n_folds, seed)).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), sizes=st.lists(st.integers(1, 3), min_size=60, max_size=60))
def test_labelled_folds_keep_groups_whole_and_classes_spread(seed, sizes):
    groups = np.repeat([f"p{i}" for i in range(60)], sizes)
    labels = np.repeat(np.array(["common", "common", "rare"])[np.arange(60) % 3], sizes)
    folds = grouped_folds(list(groups), list(labels), 5, seed)
    refuse_group_leak(groups, folds)
    for fold in range(5):
        assert set(labels[folds == fold]) == {"common", "rare"}
        assert abs((labels[folds == fold] == "rare").mean() - (labels == "rare").mean()) < 0.2


def test_another_seed_gives_other_folds():
    groups = [f"p{i}" for i in range(50)]
    labels = ["A", "B"] * 25
    for given_labels in (None, labels):
        first, second = (grouped_folds(groups, given_labels, 5, seed) for seed in (0, 1))
        assert (first != second).any()


def test_a_leak_is_refused_by_name():
    with pytest.raises(GroupLeakError, match=r"1 groups .* such as patient-2"):
        refuse_group_leak(["patient-1", "patient-2", "patient-2"], [0, 0, 1])
    refuse_group_leak(["patient-1", "patient-2", "patient-2"], [0, 1, 1])


def test_a_class_in_too_few_patients_is_refused():
    groups = [f"p{i}" for i in range(20)]
    with pytest.raises(ValueError, match="'singleton' in 1"):
        grouped_folds(groups, ["A"] * 19 + ["singleton"], 5, 0)
    # Six samples, but all of one patient: the class would be in one fold only.
    with pytest.raises(ValueError, match="'B' in 1"):
        grouped_folds([*groups, *["p99"] * 6], ["A"] * 20 + ["B"] * 6, 5, 0)


def test_missing_groups_labels_and_too_few_groups_are_refused():
    with pytest.raises(ValueError, match="no group, the first is row 1"):
        grouped_folds(["p1", None, "p3"], None, 2, 0)
    with pytest.raises(ValueError, match="no label, the first is row 2"):
        grouped_folds(["p1", "p2", "p3"], ["A", "A", ""], 2, 0)
    with pytest.raises(ValueError, match="5 folds cannot be made of 2 groups"):
        grouped_folds(["p1", "p1", "p2"], None, 5, 0)
    with pytest.raises(ValueError, match="2 labels but 3 groups"):
        grouped_folds(["p1", "p2", "p3"], ["A", "A"], 2, 0)


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
    monkeypatch.setattr(genept.models.splits, "BLOCK", 7)
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


def whole_blood(n=82, seed=0):
    """Patients of one tissue, some nearer to it than others, and three of them under two ids."""
    rng = np.random.default_rng(seed)
    tissue = 2 * rng.normal(size=3000)
    own = 0.2 * np.exp(0.3 * rng.normal(size=(n, 1))) * rng.normal(size=(n, 3000))
    X = tissue + own
    return np.vstack([X, X[:3] + 0.01 * rng.normal(size=(3, 3000))])


def test_patients_of_a_homogeneous_tissue_are_not_chained():
    X = whole_blood()
    patients = [f"p{row:02}" for row in range(len(X))]
    fixed = connected_groups(patients, duplicates=near_duplicates(X))
    assert len(np.unique(fixed)) < 60, "at .99 different patients are chained"
    pairs, threshold = cohort_duplicates(X, patients)
    groups = connected_groups(patients, duplicates=pairs)
    assert 0.99 < threshold <= 0.9999
    assert len(np.unique(groups)) >= 78
    assert [groups[82 + row] for row in range(3)] == patients[:3], "true duplicates are tied"
    ids = [f"s{row}" for row in range(len(X))]
    shares = [
        len(hold_out(ids, patients, groups, task=f"t{task}").hashes) / len(X) for task in range(20)
    ]
    assert 0.16 < np.mean(shares) < 0.25, "a fifth was asked for"
    loose = [
        len(hold_out(ids, patients, fixed, task=f"t{task}").hashes) / len(X) for task in range(20)
    ]
    assert np.mean(loose) > 0.3
    side = np.arange(len(X)) % 2
    cut = cut_duplicates(ids, X[:, ::2], side, 0.9999)
    assert set(cut) <= {f"s{row} and s{82 + row}" for row in range(3)}


def test_a_cohort_of_unlike_samples_keeps_the_usual_threshold():
    X = np.random.default_rng(1).normal(size=(40, 300))
    X[7] = X[3]
    pairs, threshold = cohort_duplicates(X, [f"p{row}" for row in range(40)])
    assert (pairs.tolist(), threshold) == ([[3, 7]], NEAR_DUPLICATE)
    repeated = np.repeat(X[8:28], 2, axis=0)
    members = [f"p{row // 2}" for row in range(40)]
    assert cohort_duplicates(repeated, members)[1] == NEAR_DUPLICATE, "samples of one patient"
    others = [f"p{row}" for row in range(40)]
    assert len(cohort_duplicates(repeated, others)[0]) == 20, "the same profile is one sample"


def test_a_row_without_a_group_is_refused():
    with pytest.raises(ValueError, match="the first is row 1"):
        connected_groups(["a", None])
    with pytest.raises(ValueError, match="give one length"):
        connected_groups(["a", "b"], ["x"])
