"""Each unit's rule for turning expression into weights, against a dense float64 computation."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from genept.embeddings.pooling import expression_weights
from genept.schema import UNITS

SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 7))


def matrices(elements):
    return arrays.arrays(np.float32, SHAPES, elements=elements)


COUNTS = matrices(st.integers(0, 2**24).map(float) | st.just(0.0))
SIGNED = matrices(st.floats(-20, 20, width=32))


def weights_of(values, unit):
    block = sp.csr_matrix(values)
    weights = expression_weights(block, unit)
    assert weights.dtype == np.float32
    assert weights.shape == values.shape
    np.testing.assert_array_equal(block.toarray(), values, "the input is left alone")
    dense = weights.toarray()
    assert (dense >= 0).all()
    return dense


@pytest.mark.parametrize("unit", ["counts", "tpm"])
@given(values=COUNTS)
def test_counts_and_tpm_are_scaled_to_ten_thousand_and_logged(unit, values):
    exact = values.astype(np.float64)
    totals = exact.sum(axis=1, keepdims=True)
    expected = np.log1p(exact * np.divide(1e4, totals, out=np.zeros_like(totals), where=totals > 0))
    np.testing.assert_allclose(weights_of(values, unit), expected, rtol=1e-5, atol=1e-6)


@given(COUNTS, st.integers(1, 4))
def test_a_deeper_library_of_the_same_cell_has_the_same_weights(values, depth):
    small = np.minimum(values, 2**20)
    once, deeper = weights_of(small, "counts"), weights_of(small * depth, "counts")
    np.testing.assert_allclose(once, deeper, rtol=1e-5)


@given(SIGNED)
def test_logarithms_below_zero_weigh_nothing_and_others_weigh_what_they_are(values):
    np.testing.assert_array_equal(weights_of(values, "log2"), np.clip(values, 0, None))


@given(COUNTS)
def test_log1p_values_weigh_what_they_are(values):
    np.testing.assert_array_equal(weights_of(values, "log1p"), values)


@given(SIGNED)
def test_z_scores_are_shifted_so_that_the_lowest_gene_weighs_nothing(values):
    expected = values.astype(np.float64) - values.min(axis=1, keepdims=True)
    weights = weights_of(values, "zscore")
    np.testing.assert_allclose(weights, expected, rtol=1e-5, atol=1e-5)
    assert (weights.min(axis=1) == 0).all()


def test_a_z_score_of_zero_is_a_value_like_any_other():
    weights = weights_of(np.float32([[-1, 0, 2], [0.5, 0, 1]]), "zscore")
    assert weights.tolist() == [[0, 1, 3], [0.5, 0, 1]]


def test_many_small_counts_do_not_lose_one_another():
    counts = np.ones((1, 2**20), dtype=np.float32)
    counts[0, 0] = 2**24  # added up in float32, the ones after it would vanish
    expected = np.log1p(1e4 * counts.astype(np.float64) / (2**24 + 2**20 - 1))
    np.testing.assert_allclose(weights_of(counts, "counts"), expected, rtol=1e-5)


def test_negative_counts_and_unknown_units_are_refused():
    block = sp.csr_matrix(np.float32([[1, -1]]))
    for unit in ("counts", "tpm", "log1p"):
        with pytest.raises(ValueError, match=f"{unit} cannot be negative"):
            expression_weights(block, unit)
    with pytest.raises(ValueError, match="'rpkm'"):
        expression_weights(block, "rpkm")
    for unit in UNITS:  # every declared unit has a rule
        assert expression_weights(abs(block), unit).shape == (1, 2)
