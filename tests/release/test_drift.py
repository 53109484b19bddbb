"""What changed too much: parts of tables that the last release had, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from declared_rows import declared_frame

from genept.release.drift import Change, changes, is_too_much
from genept.release.manifest import Manifest, ReleasedColumn, ReleasedFile, ReleasedTable
from genept.release.released_files import ReleasedFiles
from genept.schema.tables import TABLES
from genept.storage.lake import Lake
from genept.storage.provenance import NewPart, Origin, StoredTable


def rows_of(table: str, columns: list[str], counts: Mapping[tuple[str, ...], int]) -> pl.DataFrame:
    """Valid rows of a table, so many for each combination of values of some columns."""
    frames = [
        declared_frame(TABLES[table], n, first=1000 * at).with_columns(
            **{name: pl.lit(value) for name, value in zip(columns, values, strict=True)}
        )
        for at, (values, n) in enumerate(counts.items())
    ]
    return pl.concat(frames)


def stored(lake: Lake, table: str, rows: pl.DataFrame) -> StoredTable:
    """A table of the lake, a part for each partition."""
    by = list(TABLES[table].partition)
    groups = rows.partition_by(by, as_dict=True).items() if by else [((), rows)]
    new = [NewPart(table, part, tuple(map(str, key))) for key, part in groups]
    origin = Origin(code=(), settings={"rows": str(rows.hash_rows().sum()), "n": rows.height})
    return lake.assemble(table, lake.build(f"test/{table}", origin, lambda: new))


def released(*tables: StoredTable) -> Manifest:
    """A manifest that lists these tables, whose files lie in the cache of the lake."""
    return Manifest.model_construct(
        release_id="r1",
        tables={
            table.table: ReleasedTable(
                meaning="x",
                key=TABLES[table.table].key,
                partition=TABLES[table.table].partition,
                columns=ReleasedColumn.of(TABLES[table.table]),
                data_version=table.data_version,
                rows=table.rows,
                bytes=1,
                files=tuple(
                    ReleasedFile(
                        path="x", partition=part.partition, bytes=1, sha256=part.sha256,
                        rows=part.rows, dimension=None, origin={},
                    )
                    for part in table.parts
                ),
            )
            for table in tables
        },
    )  # fmt: skip


@pytest.fixture
def changed_rows(lake: Lake):
    """What is held of a table that had some rows and has others."""

    def compared(table: str, columns: str, before: Any, after: Any) -> list[str]:
        named = columns.split()
        old, new = (
            stored(lake, table, rows_of(table, named, counts)) for counts in (before, after)
        )
        files = ReleasedFiles(lake.store, "nowhere", lake.cache)
        drifted = changes(lake, files, released(old), {table: new})
        return [str(change) for change in drifted]

    return compared


@pytest.mark.parametrize(
    ("now", "held"),
    [
        ({"a": 100, "b": 10}, []),
        ({"a": 81, "b": 10}, []),
        ({"a": 80, "b": 10}, ["collection a: 100 rows became 80 (−20%)"]),
        ({"a": 149, "b": 10}, []),
        ({"a": 150, "b": 10}, ["collection a: 100 rows became 150 (+50%)"]),
        ({"a": 100, "b": 1}, []),
        ({"a": 100}, ["collection b: all 10 rows are gone"]),
        ({"b": 10}, ["collection a: all 100 rows are gone"]),
        ({"a": 100, "b": 10, "new": 10_000}, []),
        (
            {"a": 40, "b": 10, "new": 500},
            ["collection a: 100 rows became 40 (−60%)", "110 rows became 50 (−55%)"],
        ),
        (
            {"new": 110},
            ["collection a: all 100 rows are gone", "collection b: all 10 rows are gone"],
        ),
    ],
)  # fmt: skip
def test_rows_against_the_last_release(changed_rows, now, held):
    before, after = (
        {(name,): n for name, n in rows.items()} for rows in ({"a": 100, "b": 10}, now)
    )
    expected = [f"observations{': ' if change[0].isdigit() else ', '}{change}" for change in held]
    assert changed_rows("observations", "collection_id", before, after) == expected


def compared_pairs(data_set: str, n: int, others: int = 0) -> dict[tuple[str, ...], int]:
    """A comparison of each pair of representations on the task of a data set."""
    pairs = list(combinations([f"r{number:02}" for number in range(n)], 2))
    pairs += [(f"r{number:02}", "new") for number in range(others)]
    return {(f"cell-types/{data_set}", *pair, data_set): 1 for pair in pairs}


def test_the_rows_of_an_added_collection_hold_nothing_in_a_table_that_is_one_file(changed_rows):
    columns = "task representation other dataset"
    old = compared_pairs("one", 12) | compared_pairs("two", 12)
    added = old | compared_pairs("mine", 12)
    assert len(old) == 132
    assert len(added) == 198
    assert changed_rows("benchmark_comparisons", columns, old, added) == []
    fewer = compared_pairs("one", 12) | compared_pairs("two", 9) | compared_pairs("mine", 12)
    held = changed_rows("benchmark_comparisons", columns, old, fewer)
    assert "benchmark_comparisons, data set two: 66 rows became 36 (−45%)" in held
    assert "benchmark_comparisons: 132 rows became 102 (−23%)" in held
    without = compared_pairs("one", 12) | compared_pairs("mine", 12)
    assert changed_rows("benchmark_comparisons", columns, old, without) == [
        "benchmark_comparisons, data set two: all 66 rows are gone"
    ]


def test_what_a_new_space_is_compared_with_is_explained_by_it(changed_rows):
    columns = "task representation other dataset"
    old, new = compared_pairs("one", 8), compared_pairs("one", 8, others=8)
    assert len(new) > 1.25 * len(old)
    assert changed_rows("benchmark_comparisons", columns, old, new) == []


def confused(*labels: str) -> dict[tuple[str, ...], int]:
    """Each label taken once for each of these."""
    return {("t", "d", "s", truth, predicted): 1 for truth in labels for predicted in labels}


def test_a_label_may_be_new_and_may_go_but_takes_no_data_set_with_it(changed_rows):
    columns = "task dataset representation truth predicted"
    old = confused(*"abcdefgh")
    assert changed_rows("benchmark_confusions", columns, old, confused(*"abcdefghijklmn")) == []
    assert changed_rows("benchmark_confusions", columns, old, confused(*"abcdefgh"[:-1], "H")) == [
        "benchmark_confusions, data set d: 64 rows became 49 (−23%)"
    ]


def test_a_partition_that_is_gone_is_held_however_small_beside_the_others(changed_rows):
    columns = "collection_id space method"
    old = {(c, s, "outside"): 1 for s in "pqrstu" for c in ("a", "b", "c", "d", "e", "f")}
    new = {key: n for key, n in old.items() if key != ("a", "p", "outside")}
    assert changed_rows("embedding_origins", columns, old, new) == [
        "embedding_origins, partition a/p: its only row is gone"
    ]
    added = old | {("g", "p", "outside"): 1} | {(c, "new", "outside"): 1 for c in "abcdefg"}
    assert changed_rows("embedding_origins", columns, old, added) == []


def test_old_spaces_in_further_old_collections_are_new_partitions(changed_rows):
    columns = "collection_id space method"
    old = {("a", s, "outside"): 1 for s in map(str, range(20))} | {("b", "1", "outside"): 1}
    every = {(c, s, "outside"): 1 for c in "ab" for s in map(str, range(20))}
    assert changed_rows("embedding_origins", columns, old, every) == []


def test_less_that_is_missing_is_no_loss_and_more_of_it_is_held(changed_rows):
    before = {("a",): 40, ("b",): 3}
    assert changed_rows("quarantine", "collection_id", before, {("a",): 12}) == []
    assert changed_rows("quarantine", "collection_id", before, {("a",): 400, ("b",): 3}) == [
        "quarantine, collection a: 40 rows became 400 (+900%)",
        "quarantine: 43 rows became 403 (+837%)",
    ]


def test_payments_only_ever_grow(changed_rows):
    paid = {(f"p{number}",): 1 for number in range(30)}
    more = paid | {(f"q{number}",): 1 for number in range(90)}
    assert changed_rows("embedding_ledger", "receipt_id", paid, more) == []
    assert changed_rows("embedding_ledger", "receipt_id", more, paid) == [
        "embedding_ledger: 120 rows became 30 (−75%)"
    ]


def test_a_reference_that_grows_by_half_is_held_as_a_whole(changed_rows):
    assert changed_rows("genes", "", {(): 42}, {(): 79}) == ["genes: 42 rows became 79 (+88%)"]


def test_what_the_last_release_did_not_have_is_not_compared(lake: Lake) -> None:
    old = stored(lake, "observations", rows_of("observations", ["collection_id"], {("a",): 50}))
    files = ReleasedFiles(lake.store, "nowhere", lake.cache)
    assert changes(lake, files, released(), {"observations": old}) == []
    gone = released(old)
    renamed = gone.model_copy(
        update={"tables": {"no_longer_declared": gone.tables["observations"]}}
    )
    assert changes(lake, files, renamed, {}) == [], "that is for the schema policy to refuse"
    (all_gone,) = changes(lake, files, gone, {})
    assert str(all_gone) == "observations, collection a: all 50 rows are gone"


def test_a_column_that_is_new_in_the_schema_is_not_asked_of_the_last_release(lake: Lake) -> None:
    columns, counts = ["task", "split"], {("t", "train"): 50, ("t", "test"): 50}
    old = stored(lake, "gene_pairs", rows_of("gene_pairs", columns, counts))
    new = stored(lake, "gene_pairs", rows_of("gene_pairs", columns, {("t", "train"): 30}))
    last = released(old)
    before = last.tables["gene_pairs"]
    kept = tuple(column for column in before.columns if column.name != "split")
    last = last.model_copy(
        update={"tables": {"gene_pairs": before.model_copy(update={"columns": kept})}}
    )
    files = ReleasedFiles(lake.store, "nowhere", lake.cache)
    assert [str(change) for change in changes(lake, files, last, {"gene_pairs": new})] == [
        "gene_pairs, task t: 100 rows became 30 (−70%)"
    ]


def test_a_run_without_news_opens_no_file(lake: Lake, tmp_path: Path) -> None:
    comparisons = rows_of("benchmark_comparisons", ["dataset"], {("d",): 50})
    same = stored(lake, "benchmark_comparisons", comparisons)
    observations = rows_of("observations", ["collection_id"], {("a",): 50})
    other = stored(lake, "observations", observations)
    more = stored(lake, "observations", pl.concat([observations, rows_of(
        "observations", ["collection_id"], {("b",): 50})]))  # fmt: skip
    for file in lake.cache.glob("*.parquet"):
        file.unlink()
    files = ReleasedFiles(lake.store, "nowhere", lake.cache)
    tables = {"benchmark_comparisons": same, "observations": more}
    assert changes(lake, files, released(same, other), tables) == []
    assert not list(lake.cache.glob("*.parquet"))


@pytest.mark.parametrize(
    ("seen", "later", "covered"),
    [
        ((131, 197), 197, True),
        ((131, 197), 150, True),
        ((131, 197), 290, True),
        ((131, 197), 296, False),
        ((131, 197), 20, False),
        ((131, 197), 0, False),
        ((100, 50), 41, True),
        ((100, 50), 40, False),
        ((100, 50), 0, False),
        ((100, 0), 0, True),
        ((100, 0), 30, True),
        ((100, 0), 200, False),
        ((12, 2), 1, True),
    ],
)
def test_an_approval_covers_what_was_seen_and_hardly_more(seen, later, covered):
    before, after = seen
    known = Change(table="genes", before=before, after=after)
    assert known.covers(known)
    assert known.covers(known.model_copy(update={"after": later})) is covered
    assert not known.covers(known.model_copy(update={"table": "gene_names"}))
    assert not known.covers(known.model_copy(update={"column": "x", "value": "y"}))


@pytest.mark.parametrize(
    ("before", "after", "too_much"),
    [(3, 5, False), (3, 0, True), (0, 9, False), (9, 1, False), (30, 21, False), (30, 20, True)],
)
def test_a_few_rows_are_no_catastrophe_unless_none_is_left(before, after, too_much):
    assert is_too_much(before, after) is too_much
