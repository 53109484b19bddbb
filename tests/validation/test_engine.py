"""Great Expectations finds each planted breach and no other, and reports it in a sentence."""

from __future__ import annotations

import copy
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from declared_rows import declared_frame, declared_rows

from genept.schema.columns import Column, Table
from genept.schema.tables import TABLES
from validation.engine import SuiteError, SuiteResult, run_suite
from validation.suites import Expectation, Suite, narrow, suite_for

every_table = pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))


@dataclass(frozen=True)
class Breach:
    """A value that violates one rule of a column, and how the sentence about it starts and ends."""

    column: str
    value: Any
    subject: str
    expectation: str
    shown: str


def breaches(column: Column) -> Iterator[Breach]:
    """A breach of each rule of the column that a value of its type can violate."""
    name = column.name
    between = "expect_column_values_to_be_between"

    def breach(value: Any, expectation: str, *, summary: str = "", shown: str = "") -> Breach:
        return Breach(name, value, name + summary, expectation, shown or str(value))

    if column.is_vector:
        yield breach([math.nan, 0.0, 0.0, 1.0], between, summary=".not_finite", shown="[1]")
        if column.norm is not None:
            yield breach([0.0, 0.0, 0.0, 2 * column.norm], between, summary=".norm", shown="[2.0]")
        return
    if column.is_list:
        yield breach([None, None], between, summary=".not_finite", shown="[2]")
        return
    if column.is_floating:
        yield breach(math.nan, between, summary=".not_finite", shown="[1]")
    elif not column.nullable:
        empty = "nan" if pa.types.is_integer(column.type) else "None"  # as pandas has them
        yield breach(None, "expect_column_values_to_not_be_null", shown=empty)
    if column.minimum is not None and not pa.types.is_unsigned_integer(column.type):
        yield breach(column.minimum - 1, between)
    if column.maximum is not None:
        yield breach(column.maximum + 1, between)
    if column.allowed is not None:
        yield breach("neither of them", "expect_column_values_to_be_in_set")
    if column.pattern is not None:
        yield breach("no such pattern", "expect_column_values_to_match_regex")


def valid_rows(table: Table, n: int) -> list[dict[str, Any]]:
    if table.key != table.partition:
        return declared_rows(table, n).to_pylist()
    parts = [declared_rows(table, first=i, partition=(f"part-{i}",)) for i in range(n)]
    return pa.concat_tables(parts).to_pylist()


def result_of(table: Table, rows: list[dict[str, Any]]) -> SuiteResult:
    frame = pl.DataFrame(rows, schema=declared_frame(table, 0).schema, orient="row")
    return run_suite(suite_for(table, complete=False), narrow(table, frame).to_pandas())


@every_table
def test_valid_rows_pass(table: Table) -> None:
    result = result_of(table, valid_rows(table, 3))
    assert result.failed == ()
    assert len(result.warnings) == (table.name in {"genes", "gene_names"})
    assert result.expectations == len(suite_for(table).expectations)
    assert table.name.encode() in result.page


@every_table
def test_an_empty_table_lacks_rows_and_nothing_else(table: Table) -> None:
    empty = narrow(table, declared_frame(table, 0)).to_pandas()
    result = run_suite(suite_for(table), empty)
    missing = f"table: at least {table.minimum_rows:,} rows expected; found 0 "
    assert len(result.failed) == (table.minimum_rows > 0)
    assert all(sentence.startswith(missing) for sentence in result.failed)


@every_table
def test_every_breach_fails_its_own_expectation_and_no_other(table: Table) -> None:
    planted = [breach for column in table.columns for breach in breaches(column)]
    rows = valid_rows(table, len(planted) + 2)
    for row, breach in zip(rows, planted, strict=False):
        row[breach.column] = breach.value
    rows.append({**copy.deepcopy(rows[-1]), **{name: rows[-2][name] for name in table.key}})
    failed = result_of(table, rows).failed
    expected = Counter((breach.subject, breach.expectation) for breach in planted)
    unique = "expect_compound_columns_to_be_unique"
    if len(table.key) == 1:
        expected[table.key[0], "expect_column_values_to_be_unique"] = 1
    else:
        expected["table", unique] = 1
    matches = [
        re.match(r"(\S+): .+ expected; violated in \d+ rows, such as .* \((\w+)\)$", sentence)
        for sentence in failed
    ]
    assert Counter((match[1], match[2]) for match in matches if match) == expected
    for breach in planted:
        about = [
            sentence
            for sentence in failed
            if sentence.startswith(f"{breach.subject}: ")
            and sentence.endswith(f"({breach.expectation})")
        ]
        assert any(breach.shown in sentence.rpartition("such as")[2] for sentence in about), about


SINGLE = {
    "null": ("observations", "group_id", None),
    "NaN": ("observations", "total", math.nan),
    "infinite": ("observations", "total", math.inf),
    "NaN where nothing is needed": ("model_evaluations", "ci_low", math.nan),
    "too small": ("observations", "n_genes", 0),
    "too large": ("drug_responses", "value", 21.5),
    "not allowed": ("gene_mapping", "outcome", "guessed"),
    "no match": ("genes", "ensembl_gene_id", "ENSG00000000001.3"),
    "NaN in a list": ("expression", "value", [1.0, math.nan]),
    "NaN in a vector": ("gene_embeddings", "embedding", [math.nan, 0.0, 0.0, 1.0]),
    "wrong norm": ("cell_embeddings", "embedding", [0.0, 0.0, 0.0, 1.01]),
}


@pytest.mark.parametrize(("name", "column", "value"), SINGLE.values(), ids=SINGLE)
def test_a_single_breach_is_a_single_failure(name: str, column: str, value: Any) -> None:
    rows = valid_rows(TABLES[name], 5)
    rows[2][column] = value
    (sentence,) = result_of(TABLES[name], rows).failed
    assert sentence.startswith(column)
    assert "1 rows, such as" in sentence


def test_an_empty_value_is_valid_in_a_nullable_column() -> None:
    table = TABLES["observations"]
    optional = {column.name: None for column in table.columns if column.nullable}
    assert result_of(table, [row | optional for row in valid_rows(table, 3)]).failed == ()


def test_a_warning_does_not_fail_the_suite() -> None:
    suite = Suite(
        "things",
        (Expectation("ExpectTableRowCountToBeBetween", {"min_value": 9}, "warning"),),
    )
    result = run_suite(suite, pd.DataFrame({"x": [1]}))
    assert result.failed == ()
    assert result.warnings == (
        "table: at least 9 rows expected; found 1 (expect_table_row_count_to_be_between)",
    )


@pytest.mark.parametrize(
    ("column", "message"),
    [("absent", '"absent" .* does not exist'), ("text", "of the same type")],
)
def test_an_expectation_that_cannot_be_evaluated_is_an_error_not_a_finding(
    column: str, message: str
) -> None:
    arguments = {"column": column, "min_value": 0, "max_value": 1}
    suite = Suite("things", (Expectation("ExpectColumnValuesToBeBetween", arguments),))
    with pytest.raises(
        SuiteError, match=rf"table 'things': .*'{column}'.* evaluated: .*({message})"
    ):
        run_suite(suite, pd.DataFrame({"text": ["a"]}))
