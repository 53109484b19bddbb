"""Columns of the lake as matrices: the numbers themselves, not copies of them."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from planted import ingest_parsed, numbered_reference, parsed_of

from genept.common.errors import StoreError
from genept.embeddings.expression import (
    csr_of,
    embedding_matrix,
    expression_blocks,
    expression_matrix,
)
from genept.schema.tables import TABLES
from genept.storage.lake import Lake

MATRICES = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(1, 5)),
    elements=st.sampled_from([0.0, 0.0, 1.0, -2.5, 3e38]),
)


def list_columns(matrix):
    """A matrix as the columns that table `expression` stores."""
    block = sp.csr_matrix(matrix)
    offsets = pa.array(block.indptr, pa.int32())
    schema = TABLES["expression"].schema()
    return pa.table(
        {
            "gene_index": pa.ListArray.from_arrays(
                offsets, pa.array(block.indices, pa.uint32()), schema.field("gene_index").type
            ),
            "value": pa.ListArray.from_arrays(
                offsets, pa.array(block.data), schema.field("value").type
            ),
        }
    )


@given(MATRICES)
def test_list_columns_are_a_csr_matrix_as_they_stand(matrix):
    rows = list_columns(matrix)
    result = csr_of(rows, matrix.shape[1])
    np.testing.assert_array_equal(result.toarray(), matrix)
    if result.nnz:
        assert np.shares_memory(result.data, rows["value"].chunk(0).values.to_numpy())
        assert np.shares_memory(result.indices, rows["gene_index"].chunk(0).values.to_numpy())


@given(MATRICES, st.data())
def test_a_slice_of_the_rows_is_a_slice_of_the_matrix(matrix, data):
    start = data.draw(st.integers(0, len(matrix) - 1))
    stop = data.draw(st.integers(start + 1, len(matrix)))
    rows = list_columns(matrix).slice(start, stop - start)
    np.testing.assert_array_equal(csr_of(rows, matrix.shape[1]).toarray(), matrix[start:stop])


def test_columns_that_begin_elsewhere_are_read_from_where_they_begin():
    rows = list_columns(np.array([[9, 9, 9], [1, 2, 0], [0, 0, 3]], np.float32))
    index, value = (rows[name].chunk(0) for name in ("gene_index", "value"))
    moved = pa.record_batch(
        [index.take(pa.array([1, 2])), value.slice(1)], names=["gene_index", "value"]
    )
    np.testing.assert_array_equal(csr_of(moved, 3).toarray(), [[1, 2, 0], [0, 0, 3]])
    with pytest.raises(StoreError, match="3 indices of genes and 5 values"):
        csr_of(pa.table({"gene_index": index.slice(1), "value": value.slice(0, 2)}), 3)


@given(MATRICES)
def test_chunks_are_put_together(matrix):
    rows = pa.concat_tables([list_columns(matrix), list_columns(matrix[::-1])])
    result = csr_of(rows, matrix.shape[1])
    np.testing.assert_array_equal(result.toarray(), np.vstack([matrix, matrix[::-1]]))


def test_an_embedding_column_is_a_matrix_as_it_stands():
    vectors = np.arange(12, dtype=np.float32).reshape(4, 3)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 3)
    result = embedding_matrix(pa.table({"embedding": column}))
    np.testing.assert_array_equal(result, vectors)
    assert np.shares_memory(result, column.values.to_numpy())
    part = embedding_matrix(pa.table({"embedding": column.slice(1, 2)}))
    np.testing.assert_array_equal(part, vectors[1:3])
    chunked = pa.table({"embedding": pa.chunked_array([column, column.slice(0, 1)])})
    np.testing.assert_array_equal(embedding_matrix(chunked), vectors[[0, 1, 2, 3, 0]])


def test_a_collection_is_read_block_by_block(lake: Lake, monkeypatch):
    values = np.random.default_rng(1).poisson(1.0, (1100, 9)).astype(np.float32)
    values[:, 0] += 1
    reference = numbered_reference(9)
    genes = reference["symbol"].to_list()
    ids = [f"o{row:05d}" for row in range(len(values))]
    parts = ingest_parsed(monkeypatch, lake, parsed_of(values, genes, ids), reference)
    blocks = list(expression_blocks(lake, parts["expression"], 9))
    assert len(blocks) > 1
    assert max(block.shape[0] for _, block in blocks) < len(values)
    assert [id_ for of_block, _ in blocks for id_ in of_block] == ids
    read_ids, matrix = expression_matrix(lake, [parts["expression"]], 9)
    assert read_ids == ids
    np.testing.assert_array_equal(matrix.toarray(), values)
    with pytest.raises(StoreError, match="up to index 8, but its axis has 5"):
        expression_matrix(lake, [parts["expression"]], 5)


def test_reading_expression_and_opening_an_installation_imports_no_pandas_and_no_solver() -> None:
    """They took a third of the time of a search from the command line."""
    program = (
        "import sys, pyarrow as pa\n"
        "from genept.client.platform import Platform\n"
        "from genept.embeddings.expression import csr_of\n"
        "def array(kind, *words):  # pa.array would import pandas\n"
        "    stored = b''.join(word.to_bytes(4, 'little') for word in words)\n"
        "    return pa.Array.from_buffers(kind, len(words), [None, pa.py_buffer(stored)])\n"
        "lists = [pa.ListArray.from_arrays(array(pa.int32(), 0, 1), array(kind, 1))\n"
        "         for kind in (pa.uint32(), pa.float32())]\n"
        "assert csr_of(pa.table({'gene_index': lists[0], 'value': lists[1]}), 3).nnz == 1\n"
        "print({'pandas', 'scipy.optimize'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (result.stdout, result.stderr) == ("set()\n", "")
