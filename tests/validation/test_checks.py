"""Evidence: stored by content, loaded without checking again, absent if a check could not run."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from declared_rows import DIMENSION, candidate, declared_rows, store_table

from genept.release.manifest import CheckEvidence
from genept.release.publish import Releases
from genept.release.staging import ReleaseRefusedError
from genept.schema.tables import TABLES
from genept.storage import parquet
from genept.storage.lake import Lake
from genept.storage.object_store import ObjectStore
from genept.storage.provenance import NewPart, Origin, StoredTable
from validation import checks, engine
from validation.checks import check_table, evidence_pages
from validation.engine import SuiteError, SuiteResult

VECTORS = TABLES["gene_embeddings"]


@pytest.fixture
def lake(object_store: ObjectStore, store_prefix: str, tmp_path: Path) -> Lake:
    return Lake(object_store, store_prefix, tmp_path / "cache")


def evidence_keys(lake: Lake) -> list[str]:
    """Keys of all stored evidence."""
    return [info.key for info in lake.store.list(f"{lake.prefix}/evidence/")]


def with_column(rows: pa.Table, name: str, values: list[Any]) -> pa.Table:
    field = rows.schema.field(name)
    column = pa.array(values, field.type)
    return rows.set_column(rows.schema.get_field_index(name), field, column)


def test_a_table_that_fits_its_declaration_passes(lake: Lake) -> None:
    stored = store_table(lake, "observations")
    evidence = check_table(lake, stored)
    assert (evidence.passed, evidence.failed, evidence.warnings) == (True, (), ())
    assert (evidence.table, evidence.data_version) == ("observations", stored.data_version)
    assert evidence.expectations > 5
    assert lake.store.get(evidence.page) in evidence_pages(lake, [evidence]).values()


def test_a_broken_rule_fails_with_column_and_value(lake: Lake) -> None:
    rows = with_column(declared_rows(TABLES["observations"]), "n_genes", [5, 0, 7])
    evidence = check_table(lake, store_table(lake, "observations", rows))
    assert not evidence.passed
    (sentence,) = evidence.failed
    assert sentence.startswith("n_genes: ")
    assert "1 rows, such as [0]" in sentence


def test_rules_hold_for_every_part_and_row_group(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP_BYTES", 1024)
    table = TABLES["observations"]
    good = declared_rows(table, 60, partition=("a",))
    bad = with_column(declared_rows(table, 60, partition=("b",)), "n_genes", [*range(1, 60), -4])
    new = [NewPart(table.name, good, ("a",)), NewPart(table.name, bad, ("b",))]
    stored = lake.assemble(table.name, lake.build("test", Origin(code=()), lambda: new))
    assert len(list(lake.row_groups(stored.parts[1]))) > 2
    (sentence,) = check_table(lake, stored).failed
    assert "1 rows, such as [-4]" in sentence


def test_too_few_rows_fail_complete_tables_only(lake: Lake) -> None:
    stored = store_table(lake, "genes")
    complete, limited = (
        check_table(lake, stored, complete=is_complete) for is_complete in (True, False)
    )
    assert not complete.passed
    assert limited.passed
    assert complete.failed == limited.warnings
    assert "table: at least 78,000 rows expected; found 3 " in complete.failed[0]


# --- vectors -----------------------------------------------------------------------------


def vectors(lake: Lake, *values: list[float]) -> StoredTable:
    rows = declared_rows(VECTORS, len(values))
    return store_table(lake, VECTORS.name, with_column(rows, "embedding", list(values)))


def test_valid_vectors_pass(lake: Lake) -> None:
    evidence = check_table(lake, store_table(lake, VECTORS.name))
    assert (evidence.passed, evidence.warnings) == (True, ())


@pytest.mark.parametrize(
    ("vector", "sentences"),
    [
        ([float("nan"), 0, 0, 1], ["embedding.not_finite: ", "space-0000: values that are not"]),
        ([float("inf"), 0, 0, 1], ["embedding.not_finite: ", "embedding.norm", "space-0000: "]),
        ([0, 0, 0, 1.5], ["embedding.norm: "]),
        ([0, 0, 0, 0], ["embedding.norm: "]),
    ],
    ids=["NaN", "infinite", "too long", "zero"],
)
def test_an_invalid_vector_fails(lake: Lake, vector: list[float], sentences: list[str]) -> None:
    valid = declared_rows(VECTORS)["embedding"].to_pylist()
    evidence = check_table(lake, vectors(lake, *valid, vector))
    assert len(evidence.failed) == len(sentences)
    for sentence, start in zip(evidence.failed, sentences, strict=True):
        assert sentence.startswith(start)


def test_a_dead_dimension_and_equal_vectors_are_found_for_each_space(lake: Lake) -> None:
    halves = np.eye(DIMENSION, dtype=np.float32)[[0, 0, 1, 1]].tolist()
    evidence = check_table(lake, vectors(lake, *halves))
    assert evidence.failed == (f"space-0000: 2 of {DIMENSION} dimensions never vary",)
    assert evidence.warnings == ("space-0000: 50.0% of the vectors equal another one",)


# --- empty tables ------------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_parts_is_checked(lake: Lake, name: str) -> None:
    stored = lake.assemble(name, [])
    assert check_table(lake, stored).passed == (TABLES[name].minimum_rows == 0)


def test_a_part_without_rows_is_checked(lake: Lake) -> None:
    table = TABLES["quarantine"]
    new = NewPart(table.name, declared_rows(table, 0), ("a",))
    stored = lake.assemble(table.name, lake.build("test", Origin(code=()), lambda: [new]))
    assert check_table(lake, stored).passed
    empty = NewPart(VECTORS.name, declared_rows(VECTORS, 0), ("a/b",), DIMENSION)
    stored = lake.assemble(VECTORS.name, lake.build("vectors", Origin(code=()), lambda: [empty]))
    assert "a/b: 0 vectors, too few" in check_table(lake, stored, complete=False).warnings[-1]


# --- evidence is made once, or not at all ------------------------------------------------


def test_evidence_is_loaded_without_checking_again(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = store_table(lake, "observations")
    first = check_table(lake, stored)
    before = evidence_keys(lake)
    monkeypatch.setattr(engine, "run_suite", lambda *_: pytest.fail("checked twice"))
    monkeypatch.setattr(lake, "local", lambda *_: pytest.fail("read twice"))
    assert check_table(lake, stored) == first
    assert evidence_keys(lake) == before


def test_evidence_of_other_content_or_another_suite_is_not_used(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [declared_rows(TABLES["observations"], first=first) for first in range(2)]
    stored = [store_table(lake, "observations", table) for table in rows]
    first, second = (check_table(lake, table) for table in stored)
    assert first.data_version != second.data_version
    original = checks.suite_for

    def stricter(table: Any, *, complete: bool) -> Any:
        suite = original(table, complete=complete)
        return replace(suite, expectations=suite.expectations[:-1])

    monkeypatch.setattr(checks, "suite_for", stricter)
    again = check_table(lake, store_table(lake, "observations", rows[0]))
    assert again.suite != first.suite
    assert again.expectations == first.expectations - 1


def test_importing_and_recalling_checks_needs_no_great_expectations() -> None:
    code = "import sys, validation.checks; print('great_expectations' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "False\n"


def test_a_check_that_raises_leaves_no_evidence(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = store_table(lake, VECTORS.name)

    def broken(*_: object) -> None:
        raise SuiteError("cannot be evaluated")

    for module, name in ((engine, "run_suite"), (checks, "matrix_findings"), (checks, "narrow")):
        with monkeypatch.context() as patched:
            patched.setattr(module, name, broken)
            with pytest.raises(SuiteError):
                check_table(lake, stored)
    assert evidence_keys(lake) == []
    assert check_table(lake, stored).passed


def test_concurrent_checks_of_the_same_table_agree(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages contain the time, so the two results differ."""
    stored = store_table(lake, "observations")
    lake.local(stored.parts[0])
    original, both_ran = engine.run_suite, threading.Barrier(2)
    lock = threading.Lock()

    def wait_for_both(*arguments: Any) -> SuiteResult:
        with lock:
            result = original(*arguments)
        number = both_ran.wait(30)
        return replace(result, page=result.page + str(number).encode())

    monkeypatch.setattr(engine, "run_suite", wait_for_both)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: check_table(lake, stored), range(2))
    assert first == second
    assert check_table(lake, stored) == first


# --- all of it ---------------------------------------------------------------------------


def test_only_tables_that_passed_their_checks_can_be_released(
    lake: Lake, store_prefix: str
) -> None:
    base = candidate(lake)
    evidence: dict[str, CheckEvidence] = {
        name: check_table(lake, table, complete=False) for name, table in base.tables.items()
    }
    assert {name: checked.failed for name, checked in evidence.items() if checked.failed} == {}
    pages = evidence_pages(lake, evidence.values())
    assert {f"checks/{name}.html" for name in TABLES} <= set(pages)
    releases = Releases(lake, store_prefix)
    approved_candidate = replace(
        base, evidence=evidence, audit=lambda: pages, limits={"max_genes": 9}
    )
    assert releases.publish(approved_candidate).is_new
    strict = {**evidence, "genes": check_table(lake, base.tables["genes"])}
    with pytest.raises(ReleaseRefusedError, match="genes failed its checks: table: at least"):
        releases.publish(replace(base, evidence=strict))


def test_of_a_table_without_rows_only_their_number_is_evaluated(lake: Lake) -> None:
    empty = lake.assemble("unmatched_vectors", [])
    evidence = check_table(lake, empty)
    assert evidence.passed
    assert evidence.expectations == 1
    required = check_table(lake, lake.assemble("genes", []))
    assert len(required.failed) == 1
    assert "at least" in required.failed[0]
