"""Parts are made once, kept whole, found again, and read back as they were written."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from declared_rows import DIMENSION, declared_frame, declared_rows, store_table

from genept.store import lake as lake_module
from genept.store import parquet
from genept.store.access import Access
from genept.store.errors import StoreError
from genept.store.lake import Lake, NewPart, Part
from genept.store.parquet import TableContractError
from genept.store.provenance import Origin
from genept.store.s3 import ObjectStore
from genept.tables import TABLES

OBSERVATIONS = TABLES["observations"]
ORIGIN = Origin(code=("genept.declaration",), inputs={"source": "1"}, settings={"seed": 1})


@pytest.fixture
def lake(object_store: ObjectStore, store_prefix: str, tmp_path: Path) -> Lake:
    return Lake(object_store, store_prefix, tmp_path / "cache")


def elsewhere(lake: Lake, cache: Path) -> Lake:
    """The same lake as another machine sees it."""
    return Lake(lake.store, lake.prefix.removesuffix("/lake"), cache)


def observations(*collections: str, n: int = 3) -> Iterator[NewPart]:
    for one in collections:
        rows = declared_rows(OBSERVATIONS, n, partition=(one,))
        yield NewPart("observations", rows, (one,))


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
        Origin((*ORIGIN.code, "genept.tables"), ORIGIN.inputs, ORIGIN.settings),
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
        one, two = pool.map(build, (3, 4))
    assert one == two
    assert lake.build("ingest", ORIGIN, pytest.fail) == one


def test_what_was_lost_from_the_store_is_said_with_the_remedy(lake: Lake) -> None:
    compute = Counted(lambda: observations("a", "b"))
    made = lake.build("ingest", ORIGIN, compute)
    lake.store.delete([made[1].key])
    (record,) = keys(lake, "records/ingest")
    with pytest.raises(StoreError) as refused:
        lake.build("ingest", ORIGIN, compute)
    assert "1 objects" in str(refused.value)
    assert lake.store.uri(made[1].key) in str(refused.value)
    assert f"{lake.store.uri(record)} lists" in str(refused.value)
    assert "delete that record" in str(refused.value)
    lake.store.delete([record])
    assert lake.build("ingest", ORIGIN, compute) == made
    assert lake.store.exists(made[1].key)


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
    one, two = (
        lake.assemble("observations", lake.build("ingest", origin, lambda: observations("a")))
        for origin in (ORIGIN, later)
    )
    assert one.data_version == two.data_version
    assert one.parts[0].origin != two.parts[0].origin
    more = lake.build("more", ORIGIN, lambda: observations("b"))
    assert lake.assemble("observations", [*one.parts, *more]).data_version != one.data_version


def test_no_two_parts_share_a_partition_or_its_folder(lake: Lake) -> None:
    (part,) = lake.build("one", ORIGIN, lambda: observations("a"))
    (again,) = lake.build("two", ORIGIN, lambda: observations("a", n=4))
    with pytest.raises(StoreError, match=r"observations: .* the same place: \['a #0'\]"):
        lake.assemble("observations", [part, again])
    table = TABLES["benchmark_results"]
    splits = [("a/b", "c"), ("a", "b/c")]
    ambiguous = lake.build(
        "three",
        ORIGIN,
        lambda: [NewPart(table.name, declared_rows(table, partition=s), s) for s in splits],
    )
    with pytest.raises(StoreError, match=r"the same place: \['a/b/c #0'\]"):
        lake.assemble(table.name, ambiguous)


# --- reading -----------------------------------------------------------------------------


def test_rows_come_back_from_tables_parts_and_lists_of_parts(lake: Lake, tmp_path: Path) -> None:
    parts = lake.build("ingest", ORIGIN, lambda: observations("a", "b"))
    stored = lake.assemble("observations", parts)
    expected = pl.concat(declared_frame(OBSERVATIONS, partition=(one,)) for one in "ab")
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
