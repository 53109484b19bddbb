"""Bootstrap intervals: whole groups are resampled, cheaply, and undefined scores are refused."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genept.benchmarks.scores import bootstrap_interval, bootstrap_totals, pearson_score

groupings = st.lists(st.integers(0, 6), min_size=4, max_size=40).filter(
    lambda groups: len(set(groups)) > 1
)


@settings(max_examples=30, deadline=None)
@given(groups=groupings, seed=st.integers(0, 1000))
def test_resamples_hold_whole_groups(groups, seed):
    sizes = np.bincount(groups)

    def check(rows):
        counts = np.bincount(rows, minlength=len(groups))
        for group in set(groups):
            # Every row of a group is drawn as often as every other.
            assert len(set(counts[np.asarray(groups) == group])) == 1
        assert sum(counts[groups.index(g)] for g in set(groups)) == len(set(groups))
        return float(len(rows))

    low, high = bootstrap_interval(check, groups, n_resamples=10, seed=seed)
    present = sizes[sizes > 0]
    assert present.min() * len(present) <= low <= high <= present.max() * len(present)


@settings(max_examples=30, deadline=None)
@given(groups=groupings, seed=st.integers(0, 1000))
def test_sums_and_rows_give_the_same_interval(groups, seed):
    values = np.random.default_rng(seed).normal(size=len(groups))
    by_rows = bootstrap_interval(lambda rows: float(values[rows].mean()), groups, seed=seed)
    by_sums = bootstrap_totals(
        lambda totals: totals[:, 0] / totals[:, 1],
        np.stack([values, np.ones_like(values)], axis=1),
        groups,
        seed=seed,
    )
    assert by_rows == pytest.approx(by_sums)


def test_pearson_from_sums_matches_pearson_of_rows():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 40, 400)
    x = rng.normal(size=400) + 1e4
    y = 0.5 * x + rng.normal(size=400)
    by_rows = bootstrap_interval(
        lambda rows: float(np.corrcoef(x[rows], y[rows])[0, 1]), groups, seed=3
    )
    by_sums = pearson_score(x, y, groups, seed=3)
    assert (by_sums.ci_low, by_sums.ci_high) == pytest.approx(by_rows)


def test_rows_of_one_group_are_not_independent():
    rng = np.random.default_rng(1)
    donors = np.repeat(np.arange(20), 50)
    values = rng.normal(size=20)[donors]

    def width(groups):
        low, high = bootstrap_interval(lambda rows: float(values[rows].mean()), groups, seed=0)
        return high - low

    assert width(donors) > 4 * width(np.arange(1000))


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    hits = 0
    for trial in range(100):
        values = rng.normal(size=60)
        low, high = bootstrap_totals(
            lambda totals: totals[:, 0] / 60, values[:, None], np.arange(60), seed=trial
        )
        hits += low <= 0 <= high
    assert 86 <= hits <= 100


def test_a_screen_of_225000_responses_is_scored_in_seconds():
    rng = np.random.default_rng(0)
    lines = rng.integers(0, 900, 225_000)
    x = rng.normal(size=225_000)
    started = time.perf_counter()
    score = pearson_score(x, x + rng.normal(size=225_000), lines, seed=1)
    assert time.perf_counter() - started < 5
    assert 0.7 < score.ci_low < score.ci_high < 0.715  # the correlation is √½


def test_same_seed_same_interval():
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    first, again, other = (pearson_score(x, y, np.arange(50), seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_one_group_is_refused():
    with pytest.raises(ValueError, match="at least two groups"):
        bootstrap_interval(lambda rows: 1.0, ["p1", "p1"], seed=0)


@pytest.mark.parametrize("constant", [0.0, 0.1, 3.7])
def test_undefined_correlation_is_refused(constant):
    with pytest.raises(ValueError, match="undefined in"):
        pearson_score(np.full(30, constant), np.arange(30), np.arange(30), seed=0)
