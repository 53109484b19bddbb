"""Summaries of rows: their columns cover every value of a list."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from declared_rows import any_rows, declared_frame
from hypothesis import given
from hypothesis import strategies as st

from genept.schema.columns import VECTOR, Column, Table
from genept.schema.tables import TABLES
from validation.suites import narrow, suite_for

NAN, INF = math.nan, math.inf


def table(column: Column) -> Table:
    return Table("things", "Things.", "store", ("id",), (Column("id", pa.string(), "Id."), column))


def summarised(column: Column, values: list[object], type_: pl.DataType) -> dict[str, list[object]]:
    rows = pl.DataFrame(
        {"id": [str(number) for number in range(len(values))], "x": pl.Series(values, dtype=type_)}
    )
    return narrow(table(column), rows).drop("id").to_dict(as_series=False)


def test_lists_of_numbers() -> None:
    column = Column("x", pa.list_(pa.float32()), "Numbers.", minimum=0)
    values = [[1.0, 3.0], [], [2.0, None, NAN], [INF, -INF]]
    assert summarised(column, values, pl.List(pl.Float32)) == {
        "x.not_finite": [0, 0, 2, 2],
        "x.minimum": [1.0, None, 2.0, -INF],
        "x.maximum": [3.0, None, 2.0, INF],
    }


def test_lists_of_texts_only_count_empty_values() -> None:
    column = Column("x", pa.list_(pa.string()), "Texts.")
    summary = summarised(column, [["a", None], ["b"], []], pl.List(pl.String))
    assert summary == {"x.not_finite": [1, 0, 0]}


@pytest.mark.parametrize(("nullable", "empty"), [(False, 1), (True, 0)])
def test_numbers_are_kept_and_counted_if_not_finite(nullable: bool, empty: int) -> None:
    column = Column("x", pa.float64(), "Number.", nullable=nullable)
    summary = summarised(column, [1.5, None, INF, -INF], pl.Float64())
    assert summary == {"x": [1.5, None, INF, -INF], "x.not_finite": [0, empty, 1, 1]}
    assert summarised(column, [NAN], pl.Float64())["x.not_finite"] == [1]


def test_vectors_are_summarised_by_their_norm() -> None:
    column = Column("x", VECTOR, "Vector.", norm=1.0)
    summary = summarised(column, [[3.0, 4.0], [NAN, 0.0], [INF, 0.0]], pl.Array(pl.Float32, 2))
    assert summary["x.not_finite"] == [0, 1, 1]
    assert summary["x.norm"][0] == 5.0
    assert "x" not in summary


@given(
    st.lists(st.lists(st.floats(-(2.0**60), 2.0**60, width=32), min_size=3, max_size=3), max_size=5)
)
def test_norms_equal_those_of_numpy(vectors: list[list[float]]) -> None:
    column = Column("x", VECTOR, "Vector.", norm=1.0)
    norms = summarised(column, vectors, pl.Array(pl.Float32, 3))["x.norm"]
    expected = np.linalg.norm(np.array(vectors, dtype=np.float64).reshape(-1, 3), axis=1)
    np.testing.assert_allclose(np.array(norms, dtype=np.float64), expected)


@given(data=st.data(), table=st.sampled_from(list(TABLES.values())))
def test_valid_rows_have_every_column_of_the_suite_and_no_findings(
    data: st.DataObject, table: Table
) -> None:
    rows = data.draw(any_rows(table))
    schema = declared_frame(table, 0).schema
    summary = narrow(table, pl.DataFrame(rows, schema=schema, orient="row"))
    assert summary.height == len(rows)
    required = {
        name
        for expectation in suite_for(table).expectations
        for name in expectation.arguments.get("column_list", [expectation.arguments.get("column")])
    } - {None}
    assert required <= set(summary.columns)
    assert not any(summary[name].sum() for name in summary.columns if name.endswith(".not_finite"))
    assert not any(isinstance(type_, pl.List | pl.Array) for type_ in summary.schema.values())
