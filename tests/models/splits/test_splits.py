"""Folds: no group in two, every row in one, classes spread, and bad input named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genept.models.splits.folds import grouped_folds
from genept.models.splits.groups import GroupLeakError, refuse_group_leak

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
