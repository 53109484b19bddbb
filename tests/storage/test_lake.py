"""Parts are made once, kept whole, found again, and read back as they were written."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pyarrow as pa
import pytest
import tenacity.nap
from declared_rows import DIMENSION, declared_frame, declared_rows, store_table

from genept.common.errors import StoreError
from genept.schema.tables import TABLES
from genept.storage import lake as lake_module
from genept.storage import parquet
from genept.storage.bucket import Access
from genept.storage.garbage_list import MarkList, Marks
from genept.storage.lake import Lake
from genept.storage.object_store import ObjectStore
from genept.storage.parquet import TableContractError
from genept.storage.provenance import NewPart, Origin, Part

OBSERVATIONS = TABLES["observations"]
ORIGIN = Origin(code=("genept.schema.columns",), inputs={"source": "1"}, settings={"seed": 1})


@pytest.fixture
def lake(object_store: ObjectStore, store_prefix: str, tmp_path: Path) -> Lake:
    return Lake(object_store, store_prefix, tmp_path / "cache")


def elsewhere(lake: Lake, cache: Path) -> Lake:
    """The same lake as another machine sees it."""
    return Lake(lake.store, lake.prefix.removesuffix("/lake"), cache)


def observations(*collections: str, n: int = 3) -> Iterator[NewPart]:
    for collection in collections:
        rows = declared_rows(OBSERVATIONS, n, partition=(collection,))
        yield NewPart("observations", rows, (collection,))


def keys(lake: Lake, folder: str) -> list[str]:
    return [info.key for info in lake.store.list(f"{lake.prefix}/{folder}")]


class Counted:
    """A computation that knows how often it ran."""

    def __init__(self, compute: Callable[[], Iterator[NewPart]]) -> None:
        self.compute, self.times = compute, 0

    def __call__(self) -> Iterator[NewPart]:
        self.times += 1
        return self.compute()


# --- made once ---------------------------------------------------------------------------


def test_the_same_origin_is_computed_once_whoever_asks(lake: Lake, tmp_path: Path) -> None:
    compute = Counted(lambda: observations("a", "b"))
    made = lake.build("ingest", ORIGIN, compute)
    assert lake.build("ingest", ORIGIN, compute) == made
    assert elsewhere(lake, tmp_path / "other").build("ingest", ORIGIN, compute) == made
    assert compute.times == 1
    assert [(part.partition, part.rows) for part in made] == [(("a",), 3), (("b",), 3)]
    assert made[0].origin == ORIGIN.as_dict()


@pytest.mark.parametrize(
    "other",
    [
        Origin(ORIGIN.code, {"source": "2"}, ORIGIN.settings),
        Origin(ORIGIN.code, ORIGIN.inputs, {"seed": 2}),
        Origin((*ORIGIN.code, "genept.schema.tables"), ORIGIN.inputs, ORIGIN.settings),
        Origin(ORIGIN.code, ORIGIN.inputs, ORIGIN.settings, ("numpy",)),
    ],
    ids=["inputs", "settings", "code", "libraries"],
)
def test_another_origin_is_computed_anew(lake: Lake, other: Origin) -> None:
    compute = Counted(lambda: observations("a"))
    (first,) = lake.build("ingest", ORIGIN, compute)
    (second,) = lake.build("ingest", other, compute)
    assert compute.times == 2
    assert second.key == first.key, "the same rows are stored once"
    lake.build("another step", ORIGIN, compute)
    assert compute.times == 3


def test_two_builders_of_one_origin_end_with_the_same_parts(lake: Lake, tmp_path: Path) -> None:
    both_compute = threading.Barrier(2)

    def build(n: int) -> list[Part]:
        def compute() -> Iterator[NewPart]:
            both_compute.wait(10)
            return observations("a", n=n)  # a computation that is not reproducible

        return elsewhere(lake, tmp_path / str(n)).build("ingest", ORIGIN, compute)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(build, (3, 4))
    assert first == second
    assert lake.build("ingest", ORIGIN, pytest.fail) == first


@pytest.mark.parametrize("reproducible", [True, False])
def test_a_record_whose_parts_are_gone_is_made_again(
    lake: Lake, caplog: pytest.LogCaptureFixture, reproducible: bool
) -> None:
    made = lake.build("ingest", ORIGIN, lambda: observations("a", "b"))
    lake.store.delete([made[1].key])
    (record,) = keys(lake, "records/ingest")
    assert lake.known("ingest", ORIGIN) is None
    with pytest.raises(StoreError, match="was deleted while it was needed: run again"):
        lake.recall("ingest", ORIGIN)
    compute = Counted(lambda: observations("a", "b", n=3 if reproducible else 4))
    again = lake.build("ingest", ORIGIN, compute)
    assert compute.times == 1
    assert (again == made) == reproducible
    assert all(lake.store.exists(part.key) for part in again)
    assert lake.build("ingest", ORIGIN, pytest.fail) == again
    assert lake.recall("ingest", ORIGIN) == again
    assert lake.dangling == {record}
    assert f"1 objects that {lake.store.uri(record)} lists were deleted" in caplog.text


def test_of_many_steps_those_whose_parts_are_gone_are_not_remembered(lake: Lake) -> None:
    """A step that is thought to be done and is not would be stored without its rows."""
    steps = {n: (f"shards/{n}", ORIGIN) for n in range(3)}
    made = [lake.build(*steps[n], lambda n=n: observations(f"c{n}")) for n in range(2)]
    assert lake.remembered("shards", steps) == {0: made[0], 1: made[1]}
    lake.store.delete([made[1][0].key])
    assert lake.remembered("shards", steps) == {0: made[0]}


# --- what is on the list of garbage ------------------------------------------------------


def mark(lake: Lake, *listed: str) -> None:
    lake.marks.change(lambda marks: marks.with_marked(dict.fromkeys(listed, datetime.now(UTC))))


USES: dict[str, Callable[[Lake], object]] = {
    "built again": lambda lake: lake.build("ingest", ORIGIN, pytest.fail),
    "recalled": lambda lake: lake.recall("ingest", ORIGIN),
    "assembled": lambda lake: lake.assemble("observations", parts_of(lake)),
    "read as a table": lambda lake: lake.table("observations", version_of(lake)),
    "made by another step": lambda lake: lake.build("other", ORIGIN, lambda: observations("a")),
}


def parts_of(lake: Lake) -> list[Part]:
    return [
        Part(**{**entry, "partition": tuple(entry["partition"])})
        for entry in json.loads(lake.store.get(keys(lake, "records/ingest")[0]))
    ]


def version_of(lake: Lake) -> str:
    (note,) = keys(lake, "tables/observations")
    return Path(note).stem


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_what_is_used_again_is_taken_off_the_list_of_garbage(
    lake: Lake, tmp_path: Path, use: Callable[[Lake], object]
) -> None:
    (part,) = lake.build("ingest", ORIGIN, lambda: observations("a"))
    lake.assemble("observations", [part])
    mark(lake, part.key, "something/else")
    use(elsewhere(lake, tmp_path))
    assert set(lake.marks.read().since) == {"something/else"}


def test_what_a_collector_deletes_in_this_moment_is_made_anew(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The builder waits for the deletion, and stores the part again."""
    (part,) = lake.build("ingest", ORIGIN, lambda: observations("a"))
    mark(lake, part.key)
    lake.marks.change(lambda marks: marks.with_deleting([part.key]))
    other = elsewhere(lake, tmp_path)
    reads = 0
    read = MarkList.read

    def read_and_delete(self: MarkList) -> Marks:
        nonlocal reads
        reads += 1
        if reads == 3:
            lake.store.delete([part.key])
            lake.marks.change(lambda marks: marks.with_deleting([]))
        return read(self)

    monkeypatch.setattr(MarkList, "read", read_and_delete)
    assert other.build("other", ORIGIN, lambda: observations("a"))[0].key == part.key
    assert reads >= 3
    assert lake.store.exists(part.key)


def test_a_collector_that_was_killed_is_not_waited_for_long(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (part,) = lake.build("ingest", ORIGIN, lambda: observations("a"))
    mark(lake, part.key)
    lake.marks.change(lambda marks: marks.with_deleting([part.key]))
    monkeypatch.setattr(tenacity.nap, "time", SimpleNamespace(sleep=lambda _: None))
    elsewhere(lake, tmp_path).build("other", ORIGIN, lambda: observations("a"))
    assert lake.marks.read().listed == set()


def test_builders_ask_for_the_list_once_a_minute(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    read = MarkList.read
    monkeypatch.setattr(MarkList, "read", lambda self: reads.append(self) or read(self))
    other = elsewhere(lake, tmp_path)
    for n in range(3):
        other.build(f"step {n}", ORIGIN, lambda: observations("a"))
        other.build(f"step {n}", ORIGIN, pytest.fail)
    assert len(reads) == 1


# --- nothing half made -------------------------------------------------------------------


def _build_and_die(access: Access, product: str, cache: Path) -> None:
    def compute() -> Iterator[NewPart]:
        yield from observations("a")
        os.kill(os.getpid(), signal.SIGKILL)

    endpoint, key, secret = access.endpoint_url, access.access_key, access.secret_key
    store = ObjectStore(endpoint, key, secret, access.region, access.bucket)
    Lake(store, product, cache).build("ingest", ORIGIN, compute)


def test_a_run_killed_between_parts_leaves_no_record_and_the_next_one_works(
    lake: Lake, store_prefix: str
) -> None:
    child = multiprocessing.get_context("spawn").Process(
        target=_build_and_die, args=(lake.store.access, store_prefix, lake.cache)
    )
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert len(keys(lake, "observations")) == 1
    assert keys(lake, "records") == []
    made = lake.build("ingest", ORIGIN, lambda: observations("a", "b"))
    assert [part.partition for part in made] == [("a",), ("b",)]
    assert len(keys(lake, "observations")) == 2
    assert len(keys(lake, "records")) == 1


def test_rows_that_break_the_declaration_are_kept_nowhere(lake: Lake) -> None:
    bad = NewPart("observations", declared_frame(OBSERVATIONS, partition=("a",)), ("b",))
    with pytest.raises(TableContractError, match="does not belong to the partition"):
        lake.build("ingest", ORIGIN, lambda: [bad])
    with pytest.raises(ValueError, match="partitioned by"):
        lake.build("ingest", ORIGIN, lambda: [NewPart("observations", bad.rows)])
    assert keys(lake, "") == []
    assert list(lake.cache.iterdir()) == []


# --- tables ------------------------------------------------------------------------------


def test_a_table_is_its_parts_in_order_and_is_found_by_its_content(lake: Lake) -> None:
    parts = lake.build("ingest", ORIGIN, lambda: observations("b", "a"))
    other = store_table(lake, "gene_axis").parts
    stored = lake.assemble("observations", [*parts, *other])
    assert [part.partition for part in stored.parts] == [("a",), ("b",)]
    assert (stored.rows, stored.bytes) == (6, sum(part.bytes for part in parts))
    assert stored.part("a") == parts[1]
    assert stored.matching("b") == [parts[0]]
    assert stored.matching() == list(stored.parts)
    assert lake.table("observations", stored.data_version) == stored
    with pytest.raises(StoreError, match="observations has no part 'c'; it has: a, b"):
        stored.part("c")
    with pytest.raises(StoreError, match="'observations' of data version 0000.* materialise"):
        lake.table("observations", "0" * 64)


def test_the_data_version_follows_the_content_not_its_origin(lake: Lake) -> None:
    later = Origin(ORIGIN.code, {"source": "2"}, ORIGIN.settings)
    stored, again = (
        lake.assemble("observations", lake.build("ingest", origin, lambda: observations("a")))
        for origin in (ORIGIN, later)
    )
    assert stored.data_version == again.data_version
    assert stored.parts[0].origin != again.parts[0].origin
    more = lake.build("more", ORIGIN, lambda: observations("b"))
    assert lake.assemble("observations", [*stored.parts, *more]).data_version != stored.data_version


def test_no_two_parts_share_a_partition_or_its_folder(lake: Lake) -> None:
    (part,) = lake.build("one", ORIGIN, lambda: observations("a"))
    (again,) = lake.build("two", ORIGIN, lambda: observations("a", n=4))
    with pytest.raises(StoreError, match=r"observations: .* same partition and number: \['a #0'\]"):
        lake.assemble("observations", [part, again])
    table = TABLES["benchmark_results"]
    splits = [("a/b", "c"), ("a", "b/c")]
    ambiguous = lake.build(
        "three",
        ORIGIN,
        lambda: [NewPart(table.name, declared_rows(table, partition=s), s) for s in splits],
    )
    with pytest.raises(StoreError, match=r"the same partition and number: \['a/b/c #0'\]"):
        lake.assemble(table.name, ambiguous)


# --- reading -----------------------------------------------------------------------------


def test_rows_come_back_from_tables_parts_and_lists_of_parts(lake: Lake, tmp_path: Path) -> None:
    parts = lake.build("ingest", ORIGIN, lambda: observations("a", "b"))
    stored = lake.assemble("observations", parts)
    expected = pl.concat(
        declared_frame(OBSERVATIONS, partition=(collection,)) for collection in "ab"
    )
    far = elsewhere(lake, tmp_path / "run=3" / "other")
    assert far.read(stored).equals(expected)
    assert far.read(parts).equals(expected)
    assert far.read(parts[0]).equals(expected.head(3))
    assert far.read(stored, ["observation_id"]).equals(expected.select("observation_id"))
    assert far.read_arrow(parts[0]).equals(declared_rows(OBSERVATIONS, partition=("a",)))
    assert far.read_arrow(parts[0], ["total"]).column_names == ["total"]
    with pytest.raises(StoreError, match="no parts"):
        far.read([])


def test_vectors_come_back(lake: Lake) -> None:
    stored = store_table(lake, "gene_embeddings")
    assert stored.parts[0].dimension == DIMENSION
    assert lake.read_arrow(stored.parts[0]).equals(declared_rows(TABLES["gene_embeddings"]))


def test_row_groups_are_read_one_after_the_other(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP_BYTES", 1024)
    (part,) = lake.build("ingest", ORIGIN, lambda: observations("a", n=100))
    groups = list(lake.row_groups(part))
    assert len(groups) > 3
    assert max(group.num_rows for group in groups) < 30
    assert pa.concat_tables(groups).equals(lake.read_arrow(part))
    assert next(lake.row_groups(part, ["total"])).column_names == ["total"]


@pytest.fixture
def stored(lake: Lake) -> Part:
    (part,) = lake.build("ingest", ORIGIN, lambda: observations("a"))
    return part


def test_a_local_copy_is_hashed_once_and_not_fetched_again(
    lake: Lake, stored: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []
    original = lake_module.sha256_of_file
    monkeypatch.setattr(
        lake_module, "sha256_of_file", lambda path: hashed.append(path) or original(path)
    )
    lake.store.delete([stored.key])
    lake.read(stored)
    assert hashed == [], "written by this very lake"
    next_process = elsewhere(lake, lake.cache)
    next_process.read(stored)
    next_process.read(stored)
    assert hashed == [lake.cache / f"{stored.sha256}.parquet"]


@pytest.mark.parametrize("damage", ["content", "length", "gone"])
def test_a_damaged_local_copy_is_replaced(lake: Lake, stored: Part, damage: str) -> None:
    path = lake.cache / f"{stored.sha256}.parquet"
    body = path.read_bytes()
    match damage:
        case "content":
            path.write_bytes(body[:99] + bytes([body[99] ^ 1]) + body[100:])
        case "length":
            path.write_bytes(body[:-1])
        case "gone":
            path.unlink()
    next_process = elsewhere(lake, lake.cache)
    assert next_process.read(stored).equals(declared_frame(OBSERVATIONS, partition=("a",)))
    assert path.read_bytes() == body


def test_a_copy_that_vanishes_while_the_process_runs_is_fetched_again(
    lake: Lake, stored: Part
) -> None:
    lake.local(stored).unlink()
    assert lake.read(stored).height == 3


def test_an_object_that_was_changed_in_the_store_is_not_read(
    lake: Lake, stored: Part, tmp_path: Path
) -> None:
    lake.store.client.put_object(Bucket=lake.store.bucket, Key=stored.key, Body=b"other")
    far = elsewhere(lake, tmp_path / "other")
    with pytest.raises(StoreError, match=f"{stored.key} is damaged"):
        far.read(stored)
    assert list(far.cache.iterdir()) == []
