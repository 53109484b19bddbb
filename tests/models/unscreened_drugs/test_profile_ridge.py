"""Profiles and the ridge over drugs, against what is computed by hand and by explicit refits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_drugs import lines_of, planted

from genept.models.drug_response import ResponsePairs
from genept.models.unscreened_drugs.drug_kernels import VARIANT, by_targets, kernels
from genept.models.unscreened_drugs.profile_ridge import (
    Responses,
    best_kernel,
    carried_over,
    inverse_of,
    left_out_correlations,
    weights_of,
    weights_without,
)


def responses_of(table: list[list[float | None]]) -> Responses:
    value = np.array(table, dtype=float)
    drug, line = np.nonzero(np.isfinite(value))
    pairs = ResponsePairs(line, drug, np.zeros_like(line), value[drug, line])
    return Responses.of(pairs, *value.shape)


HAND = responses_of([[1, 3, None, None], [2, 2, 5, None], [0, 4, 8, None]])


def test_deviations_are_from_the_mean_of_what_was_measured() -> None:
    assert HAND.measured.sum(axis=1).tolist() == [2, 3, 3]
    assert HAND.deviation.tolist() == [[-1, 1, 0, 0], [-1, -1, 2, 0], [-4, 0, 4, 0]]
    assert HAND.line_means(np.array([0, 1, 2])).tolist() == [-2, 0, 3, 0]
    assert HAND.line_means(np.array([0])).tolist() == [-1, 1, 0, 0]
    assert HAND.take(np.array([2])).deviation.tolist() == [[-4, 0, 4, 0]]


def test_profiles_are_beyond_the_lines_and_in_their_own_deviations() -> None:
    profiles = HAND.profiles(np.array([0, 1]))
    beyond = np.array([[0, 1, 0, 0], [0, -1, 0, 0]])
    spread = np.array([np.sqrt(1 / 2), np.sqrt(1 / 3)])
    np.testing.assert_allclose(profiles, beyond / spread[:, None])
    assert not HAND.profiles(np.array([0])).any(), "a drug is its own mean: nothing is left"


def test_on_some_lines_means_are_of_these_lines() -> None:
    some = HAND.on_lines(np.array([True, True, False, True]))
    assert some.deviation.tolist() == [[-1, 1, 0], [0, 0, 0], [-2, 2, 0]]
    assert some.measured.tolist() == HAND.measured[:, [0, 1, 3]].tolist()


def test_a_correlation_reads_measured_lines_only() -> None:
    means = np.zeros(4)
    assert HAND.correlation(2, means, np.array([-8.0, 0, 8, 1e6])) == pytest.approx(1)
    assert HAND.correlation(2, means, np.array([8.0, 0, -8, 1e6])) == pytest.approx(-1)
    assert HAND.correlation(2, means, np.array([1.0, 1, 1, 9])) == 0, "the same for all lines"
    assert HAND.correlation(2, np.array([-4.0, 0, 4, 0]), np.arange(4.0)) == 0, "nothing is left"


@pytest.fixture(scope="module")
def screen():
    made = planted(3)
    return made, made.left_out.responses, kernels(made.drugs, made.spaces)["target vectors"]


def test_the_block_identity_equals_refits_without_the_block(screen) -> None:
    made, responses, kernel = screen
    training = np.setdiff1d(np.arange(len(made.drugs.names)), [4, 5, 11])
    for together in (made.drugs.shares_target(), np.eye(len(made.drugs.names), dtype=bool)):
        computed = left_out_correlations(kernel, responses, training, VARIANT, together)
        profiles, means = responses.profiles(training), responses.line_means(training)
        refitted = []
        for drug in training:
            kept = np.flatnonzero(~together[drug, training])
            weights = weights_of(kernel, training[kept], np.array([drug]), VARIANT)
            refitted.append(responses.correlation(drug, means, weights[0] @ profiles[kept]))
        np.testing.assert_allclose(computed, refitted, atol=1e-9)
    assert together.sum() == len(together)


def test_weights_are_those_of_kernel_ridge_regression(screen) -> None:
    from sklearn.kernel_ridge import KernelRidge

    _, responses, kernel = screen
    training, asked = np.arange(0, 40), np.arange(40, 48)
    own = kernel + VARIANT.constant
    model = KernelRidge(alpha=VARIANT.penalty, kernel="precomputed")
    model.fit(own[np.ix_(training, training)], responses.profiles(training))
    np.testing.assert_allclose(
        weights_of(kernel, training, asked, VARIANT) @ responses.profiles(training),
        model.predict(own[np.ix_(asked, training)]),
    )


def test_drugs_are_taken_out_of_an_inverse_as_by_a_refit(screen) -> None:
    _, _, kernel = screen
    training, asked = np.arange(0, 44), np.array([45])
    rng = np.random.default_rng(0)
    inverse = inverse_of(kernel, training, VARIANT)
    to_asked = kernel[training, 45] + VARIANT.constant
    for n_out in (0, 1, 7, 40):
        kept = np.ones(len(training), dtype=bool)
        kept[rng.permutation(len(training))[:n_out]] = False
        computed = weights_without(inverse, to_asked, kept)
        assert not computed[~kept].any()
        expected = weights_of(kernel, training[kept], asked, VARIANT)[0]
        np.testing.assert_allclose(computed[kept], expected, atol=1e-12)


def test_the_kernel_that_predicts_training_drugs_is_chosen(screen) -> None:
    made, responses, kernel = screen
    n = len(made.drugs.names)
    noise = np.random.default_rng(0).normal(size=(n, 30))
    every = {"noise": np.corrcoef(noise) ** 2, "real": kernel, "again": kernel}
    read = responses, np.arange(n), VARIANT, made.drugs.shares_target()
    assert best_kernel(every, ["noise", "real", "again", "lacking"], *read) == "real"
    assert best_kernel(every, ["again", "real"], *read) == "again", "the first of equals"
    with pytest.raises(ValueError, match="can be compared by none of lacking, absent"):
        best_kernel(every, ["lacking", "absent"], *read)


@given(st.integers(0, 50))
def test_predictions_do_not_depend_on_the_order_of_drugs_or_lines(seed: int) -> None:
    made = ORDERED
    rng = np.random.default_rng(seed)
    drugs, lines = (rng.permutation(size) for size in made.left_out.responses.measured.shape)
    responses = made.left_out.responses
    moved = Responses(responses.deviation[drugs][:, lines], responses.measured[drugs][:, lines])
    training, asked = np.arange(40), np.arange(40, 48)
    place = np.argsort(drugs)
    kernel = by_targets(made.drugs, made.spaces, VARIANT.power)
    other = by_targets(made.drugs.take(drugs), made.spaces, VARIANT.power)
    np.testing.assert_allclose(other, kernel[np.ix_(drugs, drugs)], atol=1e-6)
    expected = weights_of(kernel, training, asked, VARIANT) @ responses.profiles(training)
    computed = weights_of(other, place[training], place[asked], VARIANT) @ moved.profiles(
        place[training]
    )
    np.testing.assert_allclose(computed, expected[:, lines], atol=1e-6)
    together = made.drugs.shares_target()
    np.testing.assert_allclose(
        left_out_correlations(
            other, moved, place[training], VARIANT, together[np.ix_(drugs, drugs)]
        ),
        left_out_correlations(kernel, responses, training, VARIANT, together),
        atol=1e-6,
    )


ORDERED = planted(5)


def test_a_linear_relation_is_carried_over_to_lines_without_responses() -> None:
    rng = np.random.default_rng(0)
    state = rng.normal(size=(120, 5))
    features = lines_of(state, rng)
    profiles = rng.normal(size=(3, 5)) @ state.T
    seen = np.arange(120) % 3 > 0
    predicted = carried_over(features, seen, profiles[:, seen])
    assert predicted.shape == (3, 40)
    for drug in range(3):
        assert np.corrcoef(predicted[drug], profiles[drug, ~seen])[0, 1] > 0.95
    alone = carried_over(features, seen, profiles[:1, seen])
    np.testing.assert_allclose(alone, predicted[:1], rtol=1e-6)


def test_what_is_carried_over_does_not_depend_on_other_unseen_lines() -> None:
    rng = np.random.default_rng(1)
    state = rng.normal(size=(60, 4))
    features, seen = lines_of(state, rng), np.arange(60) < 45
    profiles = rng.normal(size=(2, 4)) @ state[seen].T
    whole = carried_over(features, seen, profiles)
    changed = features.copy()
    changed[50:] = 100 * rng.normal(size=changed[50:].shape)
    np.testing.assert_allclose(carried_over(changed, seen, profiles)[:, :5], whole[:, :5])
    first = carried_over(features[:46], seen[:46], profiles)
    np.testing.assert_allclose(first, whole[:, :1], rtol=1e-5, atol=1e-8)
