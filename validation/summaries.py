"""Rows as Great Expectations can check them: plain columns, and lists summed up per row.

For a list column `x` there are `x.minimum`, `x.maximum` and `x.not_finite`; for an
embedding `x.norm` and `x.not_finite`. The matrix itself is `validation.matrices`'.
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from genept.declaration import Column, Table


def narrow(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """The columns that the table's suite speaks of."""
    expressions = [one for column in table.columns for one in _narrow(column)]
    return rows.select(expressions)


def _narrow(column: Column) -> list[pl.Expr]:
    values = pl.col(column.name)
    if not column.is_list:
        return [values]
    if column.is_vector:
        values = values.arr.to_list()
        norm = values.list.eval(pl.element().cast(pl.Float64) ** 2).list.sum().sqrt()
        return [_not_finite(column, values), norm.alias(f"{column.name}.norm")]
    summaries = [_not_finite(column, values)]
    if column.minimum is not None or column.maximum is not None:
        summaries += [
            values.list.min().alias(f"{column.name}.minimum"),
            values.list.max().alias(f"{column.name}.maximum"),
        ]
    return summaries


def _not_finite(column: Column, values: pl.Expr) -> pl.Expr:
    """How many elements are null or, among floats, NaN or infinite."""
    bad = pl.element().is_null()
    if pa.types.is_floating(column.type.value_type):
        bad = bad | ~pl.element().is_finite()
    return values.list.eval(bad).list.sum().cast(pl.Int64).alias(f"{column.name}.not_finite")
