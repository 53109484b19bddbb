"""The value that cannot be is named by its gene and its observation, wherever it lies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from genept.common.errors import SourceError
from genept.datasources.readers import values as checked_values
from genept.datasources.readers.values import checked_blocks

GENES = [f"G{number}" for number in range(7)]


class InBlocks:
    """Rows of a matrix, some at a time."""

    def __init__(self, matrix: csr_matrix, size: int) -> None:
        self.matrix, self.shape, self.size = matrix, matrix.shape, size

    def blocks(self, start: int, stop: int):
        for first in range(start, stop, self.size):
            yield self.matrix[first : min(first + self.size, stop)]


@given(st.integers(0, 19), st.integers(0, 6), st.integers(1, 9), st.integers(0, 5), st.data())
def test_the_first_that_cannot_be_is_named(row, column, size, start, data):
    values = np.random.default_rng(row).poisson(1, (20, 7)).astype(np.float32)
    wrong, what = data.draw(
        st.sampled_from([(-3, "negative"), (1.25, "whole"), (np.nan, "NaN"), (2**25, "above")])
    )
    row = max(row, start)
    values[row, column] = wrong
    ids = [f"o{number}" for number in range(start, 20)]
    rows = InBlocks(csr_matrix(values), size)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(checked_values, "WINDOW", 3)
        blocks = checked_blocks(rows, ids, "counts", start, GENES)
        named = f"{what}.* for 'G{column}' in observation 'o{row}'"
        with pytest.raises(SourceError, match=named):
            list(blocks)


def test_rows_beyond_the_observations_are_said_before_their_values_are_looked_at():
    rows = InBlocks(csr_matrix(np.array([[1], [-1]], np.float32)), 2)
    rows.blocks = lambda *_: iter([rows.matrix])
    with pytest.raises(SourceError, match="more expression rows than 1 observations"):
        list(checked_blocks(rows, ["o0"], "counts"))
