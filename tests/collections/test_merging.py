"""Columns of one gene become one: under `sum` nothing is lost, under `highest_mean` one is kept."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from genept.collections.merging import GeneAxis, column_fingerprints, column_totals
from genept.collections.shards import merge_rows

GENES = ["ENSG3", "ENSG1", "ENSG2", None]
COUNTS = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(1, 8)),
    elements=st.integers(0, 1000).map(float),
)


@st.composite
def matrices(draw, values=COUNTS):
    """A matrix, the gene of each of its columns, and the row blocks it comes in."""
    matrix = draw(values)
    n_rows, n_columns = matrix.shape
    mapped = draw(st.lists(st.sampled_from(GENES), min_size=n_columns, max_size=n_columns))
    cut = draw(st.integers(0, n_rows))
    return matrix, mapped, [sp.csr_matrix(matrix[:cut]), sp.csr_matrix(matrix[cut:])]


def merged_rows(axis, blocks):
    rows = sp.csr_matrix(sp.vstack(blocks, format="csr"))
    return merge_rows(rows, axis, np.arange(rows.shape[0]))


def merged(axis, blocks):
    return merged_rows(axis, blocks).matrix.toarray()


@given(matrices())
def test_sums_are_preserved_row_by_row_and_gene_by_gene(given_):
    matrix, mapped, blocks = given_
    axis = GeneAxis.of(mapped)
    result = merged(axis, blocks)
    assert axis.ensembl_gene_ids == tuple(sorted({gene for gene in mapped if gene}))
    for position, gene in enumerate(axis.ensembl_gene_ids):
        columns = [target == gene for target in mapped]
        np.testing.assert_array_equal(result[:, position], matrix[:, columns].sum(axis=1))
        assert axis.n_inputs[position] == sum(columns)
    np.testing.assert_array_equal(
        result.sum(axis=1), matrix[:, [target is not None for target in mapped]].sum(axis=1)
    )


@given(
    matrices(
        arrays.arrays(
            np.float32,
            st.tuples(st.integers(1, 6), st.integers(1, 8)),
            # Few values, so that means tie; eighths, so that sums are exact.
            elements=st.integers(-16, 16).map(lambda value: value / 8),
        )
    )
)
def test_highest_mean_keeps_exactly_one_input_of_each_gene_as_it_is(given_):
    matrix, mapped, blocks = given_
    totals = column_totals(blocks, matrix.shape[1]).signed
    every = GeneAxis.of(mapped)
    axis = every.keeping_highest(totals)
    assert axis.ensembl_gene_ids == every.ensembl_gene_ids
    assert (axis.n_inputs == 1).all()
    result = merged(axis, blocks)
    for position, gene in enumerate(axis.ensembl_gene_ids):
        columns = [column for column, target in enumerate(mapped) if target == gene]
        (chosen,) = np.flatnonzero(axis.target == position)
        assert chosen in columns
        means = matrix[:, columns].mean(axis=0)
        assert chosen == columns[int(means.argmax())], "the first of the highest"
        np.testing.assert_array_equal(result[:, position], matrix[:, chosen])


@given(matrices())
def test_blocks_are_clean_csr(given_):
    _, mapped, blocks = given_
    for block in [merged_rows(GeneAxis.of(mapped), blocks).matrix]:
        assert block.dtype == np.float32
        assert block.data.all(), "zeros are left out"
        for row in range(block.shape[0]):
            indices = block.indices[block.indptr[row] : block.indptr[row + 1]]
            assert (np.diff(indices) > 0).all()


@given(matrices())
def test_how_rows_are_cut_into_blocks_changes_nothing(given_):
    matrix, mapped, blocks = given_
    axis, whole = GeneAxis.of(mapped), [sp.csr_matrix(matrix)]
    np.testing.assert_array_equal(merged(axis, blocks), merged(axis, whole))
    cut, at_once = (column_totals(pieces, matrix.shape[1]) for pieces in (blocks, whole))
    np.testing.assert_array_equal(cut.signed, at_once.signed)
    np.testing.assert_array_equal(cut.absolute, at_once.absolute)


def test_column_totals_keep_their_sign_apart_from_their_size():
    totals = column_totals([sp.csr_matrix(np.float32([[1, -2], [3, 2]]))], 2)
    assert totals.signed.tolist() == [4, 0]
    assert totals.absolute.tolist() == [4, 4]


def test_totals_do_not_round_large_counts():
    block = sp.csr_matrix(np.float32([[2**24], [1], [1], [1]]))
    totals = column_totals([block], 1)
    assert totals.signed[0] == 2**24 + 3 != np.float32(2**24) + np.float32(1)


@pytest.mark.parametrize("mapped", [[], [None, None]])
def test_an_axis_may_be_empty(mapped):
    axis = GeneAxis.of(mapped)
    block = merged_rows(axis, [sp.csr_matrix((2, len(mapped)), dtype=np.float32)]).matrix
    assert (axis.ensembl_gene_ids, block.shape) == ((), (2, 0))


@given(matrices())
def test_each_policy_makes_one_column_of_a_genes_inputs(given_):
    matrix, mapped, blocks = given_
    totals = column_totals(blocks, matrix.shape[1]).signed
    every = GeneAxis.of(mapped)
    np.testing.assert_array_equal(every.by_policy("sum", totals).target, every.target)
    first = every.by_policy("first", totals)
    for position, gene in enumerate(first.ensembl_gene_ids):
        assert np.flatnonzero(first.target == position).tolist() == [mapped.index(gene)]
    highest = every.by_policy("highest_mean", totals)
    np.testing.assert_array_equal(highest.target, every.keeping_highest(totals).target)
    assert every.policies("sum") == ["sum" if n > 1 else None for n in every.n_inputs]


def test_refusing_lets_through_only_what_is_already_one_to_one():
    axis = GeneAxis.of(["ENSG1", None, "ENSG2"])
    assert axis.by_policy("refuse", np.zeros(3)) is axis
    with pytest.raises(ValueError, match="ENSG2 has 2 inputs"):
        GeneAxis.of(["ENSG1", "ENSG2", "ENSG2"]).by_policy("refuse", np.zeros(3))


@given(matrices(), st.integers(0, 7))
def test_fingerprints_are_equal_exactly_where_columns_are(given_, copied):
    matrix, _, blocks = given_
    doubled = [sp.hstack([b, b[:, copied % matrix.shape[1]]], format="csr") for b in blocks]
    whole = np.column_stack([matrix, matrix[:, copied % matrix.shape[1]]])
    prints = column_fingerprints(doubled, whole.shape[1])
    for column in range(whole.shape[1]):
        for other in range(whole.shape[1]):
            same = np.array_equal(whole[:, column], whole[:, other])
            assert (prints[column] == prints[other]) == same


@given(matrices(), st.randoms())
def test_rows_are_counted_and_distinguished_in_any_order(given_, chance):
    matrix, mapped, _ = given_
    order = np.array(chance.sample(range(len(matrix)), len(matrix)), dtype=np.int64)
    axis, rows = GeneAxis.of(mapped), sp.csr_matrix(matrix)
    result = merge_rows(rows, axis, order)
    dense = result.matrix.toarray()
    np.testing.assert_array_equal(dense, merged(axis, [rows])[order])
    np.testing.assert_allclose(result.totals, dense.sum(axis=1, dtype=np.float64))
    totals = column_totals([rows], matrix.shape[1])
    np.testing.assert_allclose(result.inputs.signed, totals.signed)
    np.testing.assert_allclose(result.inputs.absolute, totals.absolute)
    same = (dense[:, None] == dense[None]).all(axis=2)
    np.testing.assert_array_equal(result.profiles[:, None] == result.profiles[None], same)
