"""Fast solvers against scikit-learn's, and sums of pairs against rows that are formed."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression

from genept.benchmarks.fitted_heads import (
    chosen_strength,
    logistic_scores,
    standardised_by_training,
)
from genept.benchmarks.pairs.pair_inputs import FEATURES
from genept.benchmarks.pairs.pair_sums import PairSums
from genept.benchmarks.solvers import binary_weights, of_matrix, of_sums, turned

RNG = np.random.default_rng(0)
N, D = 300, 20
X = (RNG.normal(size=(N, D)) * np.geomspace(3, 0.05, D)).astype(np.float32)
Y = X[:, 0] + X[:, 5] + RNG.normal(size=N) > 0.3
PAIRS = RNG.integers(0, N, (2, 2_000))
TEST = RNG.integers(0, N, (2, 500))
LABEL = X[PAIRS].sum(axis=0)[:, :6].sum(axis=1) + 2 * RNG.normal(size=2_000) > 0.5


@pytest.mark.parametrize("c", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("form", [np.asarray, csr_array])
def test_two_classes_end_where_scikit_learn_does(c, form):
    expected = LogisticRegression(C=c, tol=1e-7, max_iter=5000).fit(X, Y).decision_function(X)
    *_, score = logistic_scores(form(X), Y, form(X), (0.01, c))
    assert score == pytest.approx(expected, abs=0.05)


def test_turned_columns_have_the_same_optimum_in_a_fraction_of_the_steps():
    rng = np.random.default_rng(0)
    apart = rng.normal(size=(3_000, 40)) * np.geomspace(10, 0.05, 40)
    label = apart[:, 0] / 10 + apart[:, 20] + rng.normal(size=3_000) > 0.3
    mixed = (apart @ np.linalg.qr(rng.normal(size=(40, 40)))[0]).astype(np.float32)
    mixed -= mixed.mean(axis=0)
    basis, penalty = turned(mixed.T @ mixed, 1.0)
    margins, steps = [], []
    for rows, weight in ((of_matrix(mixed), 1.0), (of_matrix(mixed @ basis), penalty)):
        counted = []

        def forward(weights, rows=rows, counted=counted):
            counted.append(1)
            return rows.forward(weights)

        watched = replace(rows, forward=forward)
        weights = binary_weights(watched, label, 1.0, penalty=weight)
        margins.append(rows.forward(weights[:-1]) + weights[-1])
        steps.append(len(counted))
    assert margins[1] == pytest.approx(margins[0], abs=0.1)
    assert steps[1] < steps[0] / 3


def test_a_sum_that_is_not_formed_is_the_same_map():
    formed = X[PAIRS].sum(axis=0)
    for form in (np.asarray, csr_array):
        rows = of_sums(form(X), *PAIRS)
        weights, values = RNG.normal(size=D), RNG.normal(size=PAIRS.shape[1])
        assert rows.forward(weights) == pytest.approx(formed @ weights, abs=1e-4)
        assert rows.backward(values) == pytest.approx(values @ formed, rel=1e-3, abs=1e-2)


def test_sums_of_pairs_score_as_rows_that_are_formed():
    train, test = (X[of].sum(axis=0) for of in (PAIRS, TEST))
    inside, outside = np.arange(1_500), np.arange(1_500, 2_000)
    x, new = standardised_by_training(train.copy(), test.copy())
    c = chosen_strength(x, LABEL, inside, outside)
    (expected,) = logistic_scores(x, LABEL, new, (c,))
    sums = PairSums(X, PAIRS, TEST, LABEL, is_standardised=True)
    assert sums.chosen_strength(inside, outside) == c
    assert np.log(sums.scores(c) / (1 - sums.scores(c))) == pytest.approx(expected, abs=0.05)
    published = LogisticRegression(max_iter=5000).fit(train, LABEL).decision_function(test)
    for form in (np.asarray, csr_array):
        plain = PairSums(form(X), PAIRS, TEST, LABEL, is_standardised=False).scores()
        assert np.log(plain / (1 - plain)) == pytest.approx(published, abs=0.05)


def test_large_features_of_pairs_are_what_numpy_makes_of_copies():
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(900, 200)).astype(np.float32) for _ in range(2))
    given = a.copy(), b.copy()
    x = FEATURES["all-symmetric"](a, b)
    assert np.array_equal(x, np.concatenate([a + b, a * b, abs(a - b)], axis=1))
    assert x.dtype == np.float32
    assert np.array_equal((a, b), given)
    mean, spread = x.mean(axis=0), x.std(axis=0)  # of 600 columns: more than are taken at once
    expected = (x - mean) / (spread * np.sqrt(600)).astype(np.float32)
    assert np.array_equal(standardised_by_training(x.copy(), x.copy())[0], expected)


def test_sparse_sums_are_standardised_by_the_deviation_over_pairs():
    sparse = csr_array(np.where(np.abs(X) > 0.3, X, 0))
    train, test = (csr_array(sparse[of[0]] + sparse[of[1]]) for of in (PAIRS, TEST))
    x, new = standardised_by_training(train, test)
    (expected,) = logistic_scores(x, LABEL, new, (1.0,))
    scores = PairSums(sparse, PAIRS, TEST, LABEL, is_standardised=True).scores(1.0)
    assert np.log(scores / (1 - scores)) == pytest.approx(expected, abs=0.05)
