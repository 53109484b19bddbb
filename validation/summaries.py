"""Rows as Great Expectations can check them: plain columns, and lists summed up per row.

Beside a column `x` that holds lists or floats there is `x.not_finite`; a list gives
`x.minimum` and `x.maximum` if it is bounded, an embedding `x.norm`, in place of `x`. The
matrix itself is `validation.matrices`'.
"""

from __future__ import annotations

import polars as pl

from genept.declaration import Column, Table


def narrow(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """The columns that the table's suite speaks of."""
    return rows.select(one for column in table.columns for one in _narrow(column))


def _narrow(column: Column) -> list[pl.Expr]:
    name, values = column.name, pl.col(column.name)
    if not column.is_list:
        counted = _is_bad(column, values).cast(pl.Int64).alias(f"{name}.not_finite")
        return [values, counted] if column.is_floating else [values]
    if column.is_vector:
        values = values.arr.to_list()
    bad = values.list.eval(_is_bad(column, pl.element())).list.sum()
    summaries = [bad.cast(pl.Int64).alias(f"{name}.not_finite")]
    if column.norm is not None:
        norm = values.list.eval(pl.element().cast(pl.Float64) ** 2).list.sum().sqrt()
        summaries.append(norm.alias(f"{name}.norm"))
    if column.minimum is not None or column.maximum is not None:
        summaries.append(values.list.min().alias(f"{name}.minimum"))
        summaries.append(values.list.max().alias(f"{name}.maximum"))
    return summaries


def _is_bad(column: Column, values: pl.Expr) -> pl.Expr:
    """Whether values are NaN or infinite, or empty where none may be."""
    if not column.is_floating:
        return values.is_null()
    return (~values.is_finite()).fill_null(column.is_list or not column.nullable)
