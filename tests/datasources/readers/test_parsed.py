from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import csr_matrix, vstack

from genept.common.errors import SourceError
from genept.datasources.readers.parsed import (
    RESPONSE_SCHEMA,
    InMemory,
    ParsedCollection,
    Quarantined,
    distinct_inputs,
    from_matrix,
    observation_frame,
)
from genept.datasources.readers.values import checked_blocks


def collection_of(values: Any, **changes: Any) -> ParsedCollection:
    matrix = np.array(values, np.float32)
    names = [f"s{row}" for row in range(matrix.shape[0])]
    given_ = {
        "input_genes": [f"g{column}" for column in range(matrix.shape[1])],
        "observations": observation_frame(names, names, {"tissue": "blood"}),
    } | changes
    return from_matrix(matrix, **given_)


def checked(parsed: ParsedCollection, unit: str = "counts") -> list[csr_matrix]:
    ids = parsed.observations["observation_id"].to_list()
    return list(checked_blocks(parsed.expression, ids, unit))


@settings(deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 1200), st.integers(1, 3)),
        elements=st.integers(1, 1000),
        fill=st.just(1),
    )
)
def test_blocks_are_the_matrix_in_order_and_can_be_read_again(values: Any) -> None:
    parsed = collection_of(values)
    for _ in range(2):
        blocks = list(parsed.expression.blocks())
        assert all(isinstance(block, csr_matrix) and block.dtype == np.float32 for block in blocks)
        np.testing.assert_array_equal(vstack(blocks).toarray(), values)
    np.testing.assert_array_equal(vstack(checked(parsed)).toarray(), values)


def test_observations_without_expression_are_quarantined() -> None:
    parsed = collection_of([[1, 0], [0, 0], [0, 2]])
    assert parsed.observations["observation_id"].to_list() == ["s0", "s2"]
    assert [block.toarray().tolist() for block in parsed.expression.blocks()] == [[[1, 0], [0, 2]]]
    assert [(item.item, item.input_id, item.reason) for item in parsed.quarantined] == [
        ("observation", "s1", "empty")
    ]


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ([[1, -1]], "negative counts"),
        ([[1, 0.5]], "no whole numbers"),
        ([[1, 2.0**25]], "counts above 16,777,216"),
        ([[1, np.nan]], "NaN or infinite values, such as nan for column 2 in observation 's0'"),
        ([[1, np.inf]], "NaN or infinite"),
    ],
)
def test_values_that_cannot_be_counts_are_refused(values: Any, complaint: str) -> None:
    with pytest.raises(SourceError, match=complaint):
        checked(collection_of(values))


@pytest.mark.parametrize("unit", ["log2", "zscore"])
def test_other_units_may_be_negative_but_not_endless(unit: str) -> None:
    assert len(checked(collection_of([[-1.5, 2.5]]), unit)) == 1
    with pytest.raises(SourceError, match="NaN"):
        checked(collection_of([[np.nan, 2.5]]), unit)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"input_genes": ["g", "g"]}, "input genes are not unique: 'g'"),
        ({"input_genes": ["g"]}, "the matrix is 2 × 2, but there are 2 observations and 1 genes"),
        ({"symbols": ["g"]}, "1 symbols for 2 input genes"),
        ({"entrez_ids": ["1"]}, "1 Entrez ids for 2 input genes"),
        ({"observations": observation_frame(["s", "s"], ["a", "b"], {})}, "observation ids"),
        ({"observations": observation_frame(["s", "t"], ["a", None], {})}, "group_id is empty"),
        (
            {"observations": observation_frame(["s", "t"], ["a", "b"], {}).drop("batch")},
            "observations have columns",
        ),
        ({"quarantined": [Quarantined("gene", "g", "x", "")] * 2}, "quarantined items"),
    ],
)
def test_axes_that_do_not_fit_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SourceError, match=complaint):
        collection_of([[1, 2], [3, 4]], **changes)


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([("s0", "d", 1.0)] * 2, "line–drug pairs are not unique: 's0 / d'"),
        ([("s9", "d", 1.0)], "responses of 's9', which has no expression"),
        ([("s0", "d", float("nan"))], "NaN or infinite"),
        ([("s0", "d", None)], "empty fields"),
    ],
)
def test_responses_that_do_not_fit_are_refused(rows: list[Any], complaint: str) -> None:
    frame = pl.DataFrame(
        [(*row, "ln_ic50", "ln(µM)", 1) for row in rows], schema=RESPONSE_SCHEMA, orient="row"
    )
    with pytest.raises(SourceError, match=complaint):
        collection_of([[1, 2]], responses=frame)


class Torn(InMemory):
    """A file that ends before its header said."""

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[csr_matrix]:
        yield self.matrix[:1]


def test_blocks_that_do_not_add_up_are_refused() -> None:
    parsed = collection_of([[1, 2], [3, 4]])
    torn = replace(parsed, expression=Torn(csr_matrix(np.ones((2, 2), np.float32))))
    with pytest.raises(SourceError, match="1 expression rows for 2 observations"):
        checked(torn)


def test_expression_of_another_shape_is_refused() -> None:
    parsed = collection_of([[1, 2], [3, 4]])
    with pytest.raises(SourceError, match="there are 2 observations and 2 genes"):
        replace(parsed, expression=InMemory(csr_matrix(np.ones((1, 2), np.float32))))


@given(st.integers(0, 1400), st.integers(0, 1400))
def test_any_range_of_rows_is_read_as_asked(start: int, stop: int) -> None:
    matrix = csr_matrix(np.arange(1, 1201, dtype=np.float32)[:, None])
    blocks = [block.toarray().ravel() for block in InMemory(matrix).blocks(start, stop)]
    np.testing.assert_array_equal(
        np.concatenate([np.empty(0), *blocks]), np.arange(1, 1201)[start:stop]
    )


@given(st.lists(st.sampled_from(["TBCE", "MATR3", "MATR3.1"])))
def test_repeated_inputs_stay_apart(names: list[str]) -> None:
    distinct = distinct_inputs(names)
    assert len(set(distinct)) == len(names)
    assert [name.partition("#")[0] for name in distinct] == names
