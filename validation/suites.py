"""Suites: the expectations that follow from the declaration of a table, as plain data.

Lists are summarised by row, so that Great Expectations can check scalar columns. Evaluation is in
`validation.engine`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Literal

import polars as pl

from genept.schema import Column, Table
from genept.storage import code_version, sha256_of


def narrow(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the columns of the suite of a table: scalars, and summaries of lists."""
    return rows.select(expression for column in table.columns for expression in _narrow(column))


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
    """Whether values are NaN, infinite, or missing where they are required."""
    if not column.is_floating:
        return values.is_null()
    return (~values.is_finite()).fill_null(column.is_list or not column.nullable)


Severity = Literal["critical", "warning"]

NORM_TOLERANCE = 1e-3

ROW_COUNT = "ExpectTableRowCountToBeBetween"

LIMITED = frozenset({"collection_id", "drug_id", "model", "recipe", "space", "task"})
"""Columns of keys whose values come of collections and spaces: a partial release has some of them,
or none."""


@dataclass(frozen=True)
class Expectation:
    """One expectation: the name of its Great Expectations class, and its arguments."""

    type: str
    arguments: dict[str, Any]
    severity: Severity = "critical"


@dataclass(frozen=True)
class Suite:
    """The expectations of a table."""

    table: str
    expectations: tuple[Expectation, ...]

    @property
    def version(self) -> str:
        """Hash of the expectations, the code of this package and Great Expectations' version."""
        return sha256_of(
            [asdict(expectation) for expectation in self.expectations],
            code_version("validation"),
            version("great-expectations"),
        )

    def of(self, n_rows: int) -> Suite:
        """Those that can fail for so many rows: without rows, only that on their number."""
        if n_rows:
            return self
        counted = (each for each in self.expectations if each.type == ROW_COUNT)
        return Suite(self.table, tuple(counted))


def suite_for(table: Table, *, complete: bool = True) -> Suite:
    """Return the suite of a table.

    Parameters
    ----------
    table
        Declaration of the table.
    complete
        Whether the whole catalogue was built. If not, too few rows are only a warning; a table
        whose rows come of collections and spaces may have any number.
    """
    is_limited = not complete and not LIMITED.isdisjoint(table.key)
    rows = Expectation(
        ROW_COUNT,
        {"min_value": 0 if is_limited else table.minimum_rows},
        "critical" if complete else "warning",
    )
    key: dict[str, Any] = {"column_list": list(table.key)}
    unique = Expectation("ExpectCompoundColumnsToBeUnique", key)
    if len(table.key) == 1:
        unique = Expectation("ExpectColumnValuesToBeUnique", {"column": table.key[0]})
    columns = (expectation for column in table.columns for expectation in _of_column(column))
    return Suite(table.name, (rows, unique, *columns))


def _of_column(column: Column) -> Iterator[Expectation]:
    name = column.name
    if column.is_list or column.is_floating:
        yield _between(f"{name}.not_finite", 0, 0)
    elif not column.nullable:
        yield Expectation("ExpectColumnValuesToNotBeNull", {"column": name})
    if column.norm is not None:
        yield _between(f"{name}.norm", column.norm - NORM_TOLERANCE, column.norm + NORM_TOLERANCE)
    if column.minimum is not None:
        yield _between(f"{name}.minimum" if column.is_list else name, column.minimum, None)
    if column.maximum is not None:
        yield _between(f"{name}.maximum" if column.is_list else name, None, column.maximum)
    if column.allowed is not None:
        allowed = {"column": name, "value_set": list(column.allowed)}
        yield Expectation("ExpectColumnValuesToBeInSet", allowed)
    if column.pattern is not None:
        pattern = {"column": name, "regex": column.pattern}
        yield Expectation("ExpectColumnValuesToMatchRegex", pattern)


def _between(column: str, low: float | None, high: float | None) -> Expectation:
    arguments = {"column": column, "min_value": low, "max_value": high}
    return Expectation("ExpectColumnValuesToBeBetween", arguments)
