"""Suites have every expectation that a declaration implies, and a version that follows them."""

from __future__ import annotations

import pyarrow as pa
import pytest

from genept.schema.columns import VECTOR, Column, Table
from genept.schema.tables import TABLES
from validation import suites
from validation.suites import Expectation, Suite, suite_for

TEXT = pa.string()
ID = Column("id", TEXT, "What it is.")


def expectations(*columns: Column) -> list[Expectation]:
    """Expectations of these columns in a table with an id."""
    table = Table("things", "Things.", "store", ("id",), (ID, *columns))
    return list(suite_for(table).expectations[3:])


def between(column: str, low: float | None, high: float | None) -> Expectation:
    return Expectation(
        "ExpectColumnValuesToBeBetween", {"column": column, "min_value": low, "max_value": high}
    )


def on_column(type_: str, column: str, **arguments: object) -> Expectation:
    return Expectation(type_, {"column": column, **arguments})


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (Column("x", TEXT, "Text."), [on_column("ExpectColumnValuesToNotBeNull", "x")]),
        (Column("x", TEXT, "Text.", nullable=True), []),
        (Column("x", pa.bool_(), "Flag."), [on_column("ExpectColumnValuesToNotBeNull", "x")]),
        (
            Column("x", pa.int64(), "Number.", minimum=1, maximum=2),
            [
                on_column("ExpectColumnValuesToNotBeNull", "x"),
                between("x", 1, None),
                between("x", None, 2),
            ],
        ),
        (Column("x", pa.float64(), "Number."), [between("x.not_finite", 0, 0)]),
        (
            Column("x", pa.float64(), "Number.", nullable=True, minimum=0.0),
            [between("x.not_finite", 0, 0), between("x", 0.0, None)],
        ),
        (
            Column("x", TEXT, "Text.", nullable=True, allowed=("a", "b"), pattern="^.$"),
            [
                on_column("ExpectColumnValuesToBeInSet", "x", value_set=["a", "b"]),
                on_column("ExpectColumnValuesToMatchRegex", "x", regex="^.$"),
            ],
        ),
        (Column("x", pa.list_(TEXT), "Texts."), [between("x.not_finite", 0, 0)]),
        (
            Column("x", pa.list_(pa.float32()), "Numbers.", minimum=0, maximum=9),
            [
                between("x.not_finite", 0, 0),
                between("x.minimum", 0, None),
                between("x.maximum", None, 9),
            ],
        ),
        (
            Column("x", VECTOR, "Vector.", norm=1.0),
            [between("x.not_finite", 0, 0), between("x.norm", 0.999, 1.001)],
        ),
    ],
)
def test_every_declared_rule_is_an_expectation(column: Column, expected: list[Expectation]) -> None:
    assert expectations(column) == expected
    assert {expectation.severity for expectation in expected} <= {"critical"}


def test_every_table_must_have_its_rows_and_unique_keys() -> None:
    single, compound = (suite_for(TABLES[name]).expectations for name in ("genes", "gene_axis"))
    assert single[0] == Expectation("ExpectTableRowCountToBeBetween", {"min_value": 78_000})
    assert single[1] == on_column("ExpectColumnValuesToBeUnique", "ensembl_gene_id")
    assert compound[1] == Expectation(
        "ExpectCompoundColumnsToBeUnique", {"column_list": ["collection_id", "gene_index"]}
    )


def test_too_few_rows_only_warn_when_not_everything_was_built() -> None:
    full, limited = (suite_for(TABLES["genes"], complete=complete) for complete in (True, False))
    assert [expectation.severity for expectation in full.expectations[:2]] == [
        "critical",
        "critical",
    ]
    assert [expectation.severity for expectation in limited.expectations[:2]] == [
        "warning",
        "critical",
    ]
    assert full.expectations[1:] == limited.expectations[1:]
    assert full.version != limited.version


@pytest.mark.parametrize(
    ("name", "least"),
    [
        *(("genes", 78_000), ("gene_names", 200_000)),
        *((name, 0) for name in ("drug_responses", "drugs", "drug_targets", "cell_embeddings")),
        *((name, 0) for name in ("gate_verdicts", "drug_response_predictions")),
    ],
)
def test_a_limited_build_need_not_have_what_comes_of_collections(name: str, least: int) -> None:
    (rows, *_) = suite_for(TABLES[name], complete=False).expectations
    assert rows == Expectation("ExpectTableRowCountToBeBetween", {"min_value": least}, "warning")
    (rows, *_) = suite_for(TABLES[name]).expectations
    assert rows.arguments["min_value"] > 0


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_every_rule_of_every_table_is_expected_once(table: Table) -> None:
    suite = suite_for(table)
    reprs = [repr((expectation.type, expectation.arguments)) for expectation in suite.expectations]
    assert len(set(reprs)) == len(reprs)
    rules = sum(
        getattr(column, rule) is not None
        for column in table.columns
        for rule in ("minimum", "maximum", "allowed", "pattern", "norm")
    )
    required = sum(
        not column.nullable or column.is_list or column.is_floating for column in table.columns
    )
    assert len(suite.expectations) == 2 + rules + required


def test_a_version_follows_the_expectations_the_code_and_great_expectations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    suite = suite_for(TABLES["genes"])
    versions = {suite.version, Suite("genes", suite.expectations[:-1]).version}
    assert suite_for(TABLES["genes"]).version == suite.version
    with monkeypatch.context() as patched:
        patched.setattr(suites, "code_version", lambda *modules: "other")
        versions.add(suite.version)
    monkeypatch.setattr(suites, "version", lambda library: "other")
    versions.add(suite.version)
    assert len(versions) == 4
