"""Scores agree with scikit-learn and scipy, and undefined ones are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import accuracy_score, precision_recall_fscore_support, recall_score

from genept.benchmarks.metrics.scores import (
    CLASSIFICATION_METRICS,
    StratifiedSpearman,
    classification_scores,
    median_spearman_score,
)

labels = st.sampled_from(["B", "NK", "T"])


@settings(max_examples=40, deadline=None)
@given(pairs=st.lists(st.tuples(labels, labels), min_size=3, max_size=30))
def test_classification_agrees_with_scikit_learn(pairs):
    truth, said = (list(side) for side in zip(*pairs, strict=True))
    scores = classification_scores(
        truth, said, range(len(truth)), list(CLASSIFICATION_METRICS), seed=0, n_resamples=5
    )
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, said, average="macro", zero_division=0
    )
    balanced = recall_score(
        truth, said, labels=sorted(set(truth)), average="macro", zero_division=0
    )
    expected = dict(
        zip(CLASSIFICATION_METRICS, [accuracy_score(truth, said), balanced], strict=False),
        macro_precision=precision,
        macro_recall=recall,
        macro_f1=f1,
    )
    assert {name: score.value for name, score in scores.items()} == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)), min_size=6, max_size=25
    )
)
def test_weighted_ranks_are_those_of_repeated_rows(rows):
    x, y, weights = np.asarray(rows).T
    strata = np.arange(len(x)) % 2
    found = StratifiedSpearman(x, y, strata).correlations(weights.astype(float))
    for stratum in (0, 1):
        repeated = np.repeat(np.arange(len(x)), weights * (strata == stratum))
        if len(set(x[repeated])) > 1 and len(set(y[repeated])) > 1:
            expected = spearmanr(x[repeated], y[repeated]).statistic
            assert found[stratum] == pytest.approx(expected, abs=1e-9)
        else:
            assert np.isnan(found[stratum])


def test_median_spearman_finds_what_was_planted_and_nothing_in_noise():
    rng = np.random.default_rng(0)
    drug, line = np.repeat(np.arange(15), 80), np.tile(np.arange(80), 15)
    x, noise = rng.normal(size=(2, 1200))
    planted = median_spearman_score(x, x + noise, drug, line, seed=1, n_resamples=100)
    chance = median_spearman_score(x, noise, drug, line, seed=1, n_resamples=100)
    assert 0.5 < planted.ci_low < planted.value < planted.ci_high < 0.85
    assert chance.ci_low < 0 < chance.ci_high


def test_a_stratum_that_does_not_vary_is_refused_by_name():
    drug = np.repeat(["Afatinib", "Placebo"], 5)
    said = np.concatenate([np.arange(5.0), np.zeros(5)])
    with pytest.raises(ValueError, match="Placebo"):
        median_spearman_score(np.arange(10.0), said, drug, np.arange(10), seed=0)


def test_nothing_to_score_is_refused():
    with pytest.raises(ValueError, match="0 predictions"):
        classification_scores([], [], [], ["accuracy"], seed=0)
