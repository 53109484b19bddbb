"""Suites: the expectations that a table's declaration implies, as plain data.

Nothing here imports Great Expectations; `validation.engine` runs what is listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Literal

from genept.declaration import Column, Table
from genept.store.provenance import code_version, sha256_of

Severity = Literal["critical", "warning"]
NORM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Expectation:
    """One expectation: the name of its Great Expectations class, and its arguments."""

    type: str
    arguments: dict[str, Any]
    severity: Severity = "critical"


@dataclass(frozen=True)
class Suite:
    """All expectations of one table; `version` changes when any of them or the checks do."""

    table: str
    expectations: tuple[Expectation, ...]

    @property
    def version(self) -> str:
        """Hash of the suite and of the code that runs it."""
        return sha256_of(
            [asdict(one) for one in self.expectations],
            code_version("validation"),
            version("great-expectations"),
        )


def suite_for(table: Table, *, complete: bool = True) -> Suite:
    """The suite of a table.

    Parameters
    ----------
    complete
        Whether everything in the catalogue was built. If not, too few rows only warn.
    """
    rows = Expectation(
        "ExpectTableRowCountToBeBetween",
        {"min_value": table.minimum_rows},
        "critical" if complete else "warning",
    )
    key: dict[str, Any] = {"column_list": list(table.key)}
    unique = Expectation("ExpectCompoundColumnsToBeUnique", key)
    if len(table.key) == 1:
        unique = Expectation("ExpectColumnValuesToBeUnique", {"column": table.key[0]})
    columns = (one for column in table.columns for one in _of_column(column))
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
