"""Effects of groups: planted differences are found, and blocks change nothing."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from genept.embeddings.text_readings.group_effects import (
    SAMPLED,
    compare_groups,
    compare_labels,
)
from genept.embeddings.text_readings.similarities import compared_expression


def counts(n: int = 60, n_genes: int = 30, seed: int = 0) -> sp.csr_matrix:
    """Counts in which the first five genes are high in every second observation."""
    rng = np.random.default_rng(seed)
    means = np.full((n, n_genes), 2.0)
    means[::2, :5] = 9.0
    return sp.csr_matrix(rng.poisson(means).astype(np.float32))


HALVES = (np.arange(60) % 2).astype(np.intp)


def test_genes_that_are_high_in_a_group_have_the_largest_effects() -> None:
    effects = compare_groups([counts()], HALVES, "counts", 2)
    assert set(effects.genes[np.argsort(-effects.effect[0])[:5]]) == set(range(5))
    assert (effects.effect[0, :5] > 0.9).all()
    np.testing.assert_allclose(effects.effect[0], -effects.effect[1])
    assert effects.sizes.tolist() == [30, 30]


def test_effect_and_z_are_those_of_their_definitions() -> None:
    expression = counts()
    group_of = np.where(np.arange(60) < 20, 0, -1).astype(np.intp)
    effects = compare_groups([expression], group_of, "counts", 1)
    weights = (
        compared_expression(expression, "counts").toarray().astype(np.float64)[:, effects.genes]
    )
    inside, rest = weights[:20], weights[20:]
    difference = inside.mean(axis=0) - rest.mean(axis=0)
    error = np.sqrt(inside.var(axis=0, ddof=1) / 20 + rest.var(axis=0, ddof=1) / 40)
    np.testing.assert_allclose(effects.effect[0], difference / weights.std(axis=0), rtol=1e-4)
    np.testing.assert_allclose(effects.z[0], difference / error, rtol=1e-3)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 59), max_size=5, unique=True),
    st.lists(st.integers(-1, 2), min_size=60, max_size=60),
)
def test_blocks_of_any_size_give_the_same_effects(cuts: list[int], groups: list[int]) -> None:
    expression, group_of = counts(), np.array(groups, np.intp)
    edges = [0, *sorted(cuts), 60]
    blocks = [expression[a:b] for a, b in pairwise(edges)]
    whole, cut = (compare_groups(each, group_of, "counts", 3) for each in ([expression], blocks))
    np.testing.assert_array_equal(whole.genes, cut.genes)
    np.testing.assert_allclose(whole.effect, cut.effect, atol=1e-6)
    np.testing.assert_allclose(whole.z, cut.z, atol=1e-4)
    np.testing.assert_allclose(whole.residuals, cut.residuals, atol=1e-4)
    empty = np.bincount(group_of[group_of >= 0], minlength=3) == 0
    assert not whole.effect[empty].any()


def test_one_observation_is_compared_with_all_others() -> None:
    expression = counts()
    labels = [None if at != 7 else "it" for at in range(60)]
    effects = compare_labels([expression], labels, ["it"], "counts")
    weights = compared_expression(expression, "counts").toarray()[:, effects.genes]
    rest = np.delete(weights, 7, axis=0).mean(axis=0)
    np.testing.assert_allclose(effects.effect[0], (weights[7] - rest) / weights.std(axis=0), 1e-3)
    assert np.isnan(effects.z).all()


def test_genes_that_do_not_vary_or_are_too_rare_are_left_out() -> None:
    expression = counts().tolil()
    expression[:, 3] = 0
    expression[0, 4:5] = 3
    expression[1:, 4] = 0
    effects = compare_groups([sp.csr_matrix(expression)], HALVES, "counts", 2)
    assert not {3, 4} & set(effects.genes)
    assert np.isfinite(effects.residuals).all()


def test_residuals_are_those_of_a_sample_within_groups() -> None:
    expression = sp.csr_matrix(np.tile(counts().toarray(), (50, 1)))
    effects = compare_groups([expression], np.tile(HALVES, 50), "counts", 2)
    assert len(effects.residuals) == SAMPLED
    np.testing.assert_allclose(effects.residuals.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(effects.residuals.std(axis=0), 1, atol=1e-3)
    first = effects.residuals[:, effects.genes < 5]
    assert abs(np.corrcoef(first.T)[np.triu_indices(5, 1)].mean()) < 0.2  # not of the groups


def test_shuffled_effects_are_the_same_of_other_genes() -> None:
    effects = compare_groups([counts()], HALVES, "counts", 2)
    shuffled = effects.shuffled(np.random.default_rng(0))
    np.testing.assert_allclose(np.sort(shuffled.effect), np.sort(effects.effect))
    assert not np.array_equal(shuffled.effect, effects.effect)
    np.testing.assert_allclose(shuffled.effect[0], -shuffled.effect[1])


@pytest.mark.parametrize("n", [59, 61])
def test_groups_of_another_number_of_observations_are_refused(n: int) -> None:
    with pytest.raises(ValueError, match=str(n)):
        compare_groups([counts()], np.zeros(n, np.intp), "counts", 1)
