"""Late fusion on pairs: what several representations know adds up; noise knows nothing."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from genept.benchmarks.influence import area
from genept.benchmarks.pairs.pair_fusion import MOST_PAIRS, fused_scores

N = 400
TRAINING = 300
"""Of the genes; test pairs are of the others."""


def pairs_of(genes, n, seed):
    return np.random.default_rng(seed).choice(genes, (2, n)).astype(np.intp)


@pytest.fixture(scope="module")
def planted():
    """Groups of genes that belong together, of which each representation sees half the traits."""
    rng = np.random.default_rng(0)
    traits = rng.standard_normal((N, 12))
    train, test = pairs_of(TRAINING, 6000, 1), pairs_of(np.arange(TRAINING, N), 1500, 2)
    alike = [np.einsum("ij,ij->i", traits[a], traits[b]) for a, b in (train, test)]
    truth = [values > np.median(values) for values in alike]
    noise = [0.5 * rng.standard_normal((N, 6)) for _ in range(2)]
    halves = [
        (traits[:, at : at + 6] + noise[at // 6]).astype(np.float32) for at in (0, 6)
    ]  # fmt: skip
    drawn = rng.permutation(TRAINING)[: TRAINING // 5]
    in_test = [np.isin(side, drawn) for side in train]
    inner = tuple(np.flatnonzero(a & b) for a, b in (~np.array(in_test), np.array(in_test)))
    return halves, train, truth, inner, test


def score(members, planted, truth=None):
    _, train, (own, of_test), inner, test = planted
    fused = fused_scores(members, train, own if truth is None else truth, inner, test)
    return area(of_test, fused)


def test_two_representations_know_more_than_either(planted):
    halves, *_ = planted
    alone = [score([half], planted) for half in halves]
    assert min(alone) > 0.65
    assert score(halves, planted) > max(alone) + 0.05


def test_a_representation_of_noise_costs_little(planted):
    halves, *_ = planted
    noise = np.random.default_rng(9).standard_normal((N, 30)).astype(np.float32)
    assert score([*halves, noise], planted) > score(halves, planted) - 0.02
    assert score([noise], planted) == pytest.approx(0.5, abs=0.05)


def test_permuted_labels_teach_nothing(planted):
    """On average: a cosine tells much, and permuted labels weigh it by chance, up or down."""
    halves, _, (own, _), *_ = planted
    rng = np.random.default_rng(3)
    scores = [score(halves, planted, rng.permutation(own)) for _ in range(24)]
    assert np.mean(scores) == pytest.approx(0.5, abs=3 * np.std(scores) / np.sqrt(24))
    assert max(scores) < score(halves, planted)


def test_sparse_vectors_are_read_by_their_leading_directions(planted):
    halves, *_ = planted
    sparse = [csr_array(half) for half in halves]
    assert score(sparse, planted) > 0.7


def test_labels_of_one_kind_among_the_other_genes_weigh_all_alike(planted):
    halves, train, (own, of_test), (inside, outside), test = planted
    only = outside[own[outside]]
    fused = fused_scores(halves, train, own, (inside, only), test)
    assert area(of_test, fused) > 0.6


def test_genes_without_a_vector_and_many_pairs_are_no_trouble(planted):
    halves, train, (own, of_test), inner, test = planted
    gaps = halves[0].copy()
    gaps[:40] = 0
    times = MOST_PAIRS // train.shape[1] + 2
    many = np.tile(train, times)
    fused = fused_scores([gaps], many, np.tile(own, times), inner, test)
    assert np.isfinite(fused).all()
    assert area(of_test, fused) > 0.6
