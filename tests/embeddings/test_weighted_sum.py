"""The weighted sum against float64 scipy, whatever is popular, empty, unsorted or strided."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from genept.embeddings.weighted_sum import (
    ROWS,
    WeightedSum,
    normalised,
    popularity,
    row_sums,
)

SEEDS = st.integers(0, 2**32 - 1)
DENSITIES = st.sampled_from([0.0, 0.001, 0.02, 0.09, 0.29, 0.31, 0.41, 1.0])


def skewed(rng, rows, genes, density):
    """Random weights; some genes are expressed everywhere, others hardly ever."""
    popularity = np.clip(density * rng.pareto(1.5, genes), 0, 1) if density < 1 else 1.0
    values = rng.gamma(1.0, 2.0, (rows, genes)).astype(np.float32)
    return sp.csr_matrix(values * (rng.random((rows, genes)) < popularity))


def table_of(rng, genes, dimensions):
    return rng.standard_normal((genes, dimensions)).astype(np.float32)


def weighted_sum(weights, vectors, threads=1):
    return WeightedSum(vectors, popularity(weights))(weights, threads)


def assert_within_rounding(sums, weights, vectors):
    """1e-5 relative to what is added up: where terms cancel, to their size."""
    exact, vectors = weights.astype(np.float64).toarray(), vectors.astype(np.float64)
    expected, size = exact @ vectors, abs(exact) @ abs(vectors)
    assert sums.dtype == np.float32
    assert sums.shape == expected.shape
    assert (np.abs(sums - expected) <= 1e-5 * size).all()


@given(SEEDS, st.integers(0, 40), st.integers(0, 700), st.integers(1, 130), DENSITIES)
@settings(max_examples=100, deadline=None)
def test_it_is_the_sum_in_float64(seed, rows, genes, dimensions, density):
    rng = np.random.default_rng(seed)
    weights, vectors = skewed(rng, rows, genes, density), table_of(rng, genes, dimensions)
    expressing = np.ones((rows, 1), np.float32)
    expressing[rows // 2 :: 7] = 0
    weights = sp.csr_matrix(weights.multiply(expressing))
    weights.eliminate_zeros()
    assert_within_rounding(weighted_sum(weights, vectors), weights, vectors)


@given(SEEDS, DENSITIES)
@settings(max_examples=20, deadline=None)
def test_the_number_of_threads_does_not_change_a_bit(seed, density):
    rng = np.random.default_rng(seed)
    weights, vectors = skewed(rng, 3 * ROWS + 17, 300, density), table_of(rng, 300, 70)
    alone = weighted_sum(weights, vectors)
    assert_within_rounding(alone, weights, vectors)
    for threads in (2, 3):
        np.testing.assert_array_equal(weighted_sum(weights, vectors, threads), alone)


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_another_popularity_is_only_another_order_of_adding(seed):
    rng = np.random.default_rng(seed)
    weights, vectors = skewed(rng, 20, 900, 0.09), table_of(rng, 900, 65)
    laid_out = WeightedSum(vectors, rng.random(900) ** 4)
    assert_within_rounding(laid_out(weights), weights, vectors)
    np.testing.assert_array_equal(laid_out(weights), laid_out(weights))


@given(SEEDS, st.sampled_from([np.int32, np.int64]))
@settings(max_examples=30, deadline=None)
def test_unsorted_repeated_wide_and_read_only_indices(seed, type_):
    rng = np.random.default_rng(seed)
    indices = rng.integers(0, 50, 200).astype(type_)  # in no order, and some genes twice
    data = rng.random(200, dtype=np.float32)
    data.flags.writeable = indices.flags.writeable = False
    weights = sp.csr_matrix((data, indices, np.arange(0, 201, 20)), shape=(10, 50))
    before = weights.indices.copy()
    vectors = table_of(rng, 50, 8)
    sums = weighted_sum(weights, vectors)
    np.testing.assert_array_equal(weights.indices, before, "the input is left alone")
    assert_within_rounding(sums, weights, vectors)


def test_strided_vectors_and_rows_of_a_larger_matrix():
    rng = np.random.default_rng(0)
    weights = skewed(rng, 60, 80, 0.2)
    vectors = table_of(rng, 160, 20)[::2, 1::2]
    assert not vectors.flags.c_contiguous
    assert_within_rounding(weighted_sum(weights[7:31], vectors), weights[7:31], vectors)
    assert_within_rounding(weighted_sum(weights, np.asfortranarray(vectors)), weights, vectors)


def test_rows_are_summed_and_the_marked_genes_apart():
    weights = skewed(np.random.default_rng(1), 30, 90, 0.3)
    marked = np.arange(90) % 3 == 0
    expected = weights.astype(np.float64) @ np.stack([np.ones(90), marked], axis=1)
    np.testing.assert_allclose(row_sums(weights, marked), expected, rtol=1e-12)
    np.testing.assert_allclose(row_sums(weights)[:, 1], expected[:, 0], rtol=1e-12)


@pytest.mark.parametrize("n_genes", [1, 3, 4, 5, 90])
def test_rows_of_any_length_are_summed_and_brought_to_a_sum(n_genes):
    weights = skewed(np.random.default_rng(2), 9, n_genes, 0.8)
    sums = weights.sum(axis=1).A1
    np.testing.assert_allclose(row_sums(weights)[:, 0], sums, rtol=1e-6)
    scaled = sp.csr_matrix(
        (normalised(weights, 1e4), weights.indices, weights.indptr), shape=weights.shape
    )
    factors = np.divide(1e4, sums, out=np.zeros(9), where=sums > 0)
    np.testing.assert_allclose(scaled.toarray(), weights.toarray() * factors[:, None], rtol=1e-6)


def longer_than_its_rows():
    """The unit matrix, and a value that belongs to no row."""
    matrix = sp.csr_matrix(np.eye(3, dtype=np.float32))
    matrix.data = np.append(matrix.data, np.float32(7))
    matrix.indices = np.append(matrix.indices, np.int32(0))
    return matrix


def test_a_value_beyond_the_last_row_belongs_to_none():
    np.testing.assert_array_equal(normalised(longer_than_its_rows(), 2), [2, 2, 2, 0])


def test_sums_are_written_where_they_are_wanted():
    rng = np.random.default_rng(6)
    for dimensions in (64, 70):  # as wide as panels are, and not
        weights, vectors = skewed(rng, ROWS + 1, 90, 0.3), table_of(rng, 90, dimensions)
        expected = weighted_sum(weights, vectors)
        whole = np.full((ROWS + 3, dimensions), np.nan, np.float32)
        sums = WeightedSum(vectors, popularity(weights))(weights, out=whole[1:-1])
        assert np.shares_memory(sums, whole)
        np.testing.assert_array_equal(whole[1:-1], expected)
        assert np.isnan(whole[[0, -1]]).all()


def test_what_would_be_cast_cut_or_read_beyond_the_end_is_refused():
    weights, vectors = sp.csr_matrix(np.eye(3, dtype=np.float32)), np.eye(3, dtype=np.float32)
    with pytest.raises(ValueError, match="weights are float64, expected float32"):
        weighted_sum(weights.astype(np.float64), vectors)
    with pytest.raises(ValueError, match="gene vectors are float64"):
        weighted_sum(weights, vectors.astype(np.float64))
    with pytest.raises(ValueError, match="gene vectors are \\(2, 3\\)"):
        weighted_sum(weights, vectors[:2])
    with pytest.raises(ValueError, match="weights are over 2 genes, the vectors are of 3"):
        WeightedSum(vectors, np.ones(3))(weights[:, :2])
    with pytest.raises(ValueError, match="1 genes are marked"):
        row_sums(weights, np.ones(1, bool))
    for narrow in (np.empty((2, 3), np.float32), np.empty((3, 3))):
        with pytest.raises(ValueError, match="sums are \\(3, 3\\) of float32, `out` is"):
            WeightedSum(vectors, np.ones(3))(weights, out=narrow)
    for wrong in (np.nan, np.inf, -np.inf):
        broken = vectors.copy()
        broken[1, 2] = wrong
        with pytest.raises(ValueError, match="vector of gene 1 is not finite"):
            weighted_sum(weights, broken)
    for index in (-1, 3):
        foreign = weights.copy()
        foreign.indices[1] = index
        with pytest.raises(ValueError, match="outside of 0 to 2"):
            weighted_sum(foreign, vectors)
    falling = weights.copy()
    falling.indptr[1] = 3
    falling.indptr[2] = 1
    with pytest.raises(ValueError, match="do not rise"):
        weighted_sum(falling, vectors)


def test_blas_has_its_threads_back_afterwards():
    def threads():
        return [
            library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"
        ]

    before = threads()
    rng = np.random.default_rng(0)
    weighted_sum(skewed(rng, 2 * ROWS, 20, 0.5), table_of(rng, 20, 8), threads=2)
    assert threads() == before
