"""Going back: the pointer moves on to an earlier release, and the bad content stays away."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from declared_rows import (
    candidate,
    declared_rows,
    default_partition,
    store_table,
    with_tables,
)

from genept.store.copies import StaleCopies, stale_copies
from genept.store.errors import ConflictError, StoreError
from genept.store.garbage import Garbage, collect, find_garbage
from genept.store.lake import Lake, NewPart
from genept.store.manifest import Manifest
from genept.store.provenance import Origin
from genept.store.release import Candidate, ReleaseRefusedError, Releases
from genept.store.rollback import allow, roll_back
from genept.store.s3 import ObjectStore
from genept.store.verifying import verify
from genept.tables import GENE_SNAPSHOTS, TABLES


@pytest.fixture(scope="module")
def lake(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    product = f"tests/rollback-{secrets.token_hex(4)}"
    return Lake(object_store, product, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def offers(lake: Lake) -> list[Candidate]:
    first = candidate(lake)
    genes = [
        store_table(lake, "genes", declared_rows(TABLES["genes"], first=n)) for n in range(1, 4)
    ]
    return [first, *(with_tables(first, genes=one) for one in genes)]


@pytest.fixture
def releases(lake: Lake, store_prefix: str) -> Releases:
    return Releases(lake, store_prefix)


@pytest.fixture
def three(releases: Releases, offers: list[Candidate]) -> list[Manifest]:
    return [releases.publish(offers[number]).manifest for number in range(3)]


def test_the_release_before_is_current_again_and_the_sequence_rises(
    releases: Releases, three: list[Manifest]
) -> None:
    pointer = roll_back(releases, reason="wrong genes")
    assert releases.pointer() == pointer
    assert releases.current() == three[1]
    assert (pointer.seq, pointer.rolled_back_from) == (4, three[2].release_id)
    assert pointer.previous == three[2].release_id
    assert [(one.release_id, one.reason) for one in pointer.denied] == [
        (three[2].release_id, "wrong genes")
    ]
    assert releases.ids() == [one.release_id for one in three], "it happened, so it is listed"


def test_denied_content_does_not_come_back_until_it_is_allowed(
    releases: Releases, offers: list[Candidate], three: list[Manifest]
) -> None:
    roll_back(releases, reason="wrong genes")
    with pytest.raises(ReleaseRefusedError, match=r"rolled back from .*wrong genes.*release allow"):
        releases.publish(offers[2])
    assert not releases.publish(offers[1]).is_new, "what is current is no news"
    other = releases.publish(offers[3]).manifest
    assert other.release_id > three[2].release_id
    with pytest.raises(ReleaseRefusedError, match="rolled back from"):
        releases.publish(offers[2])
    pointer = allow(releases, three[2].release_id)
    assert (pointer.seq, pointer.release_id) == (6, other.release_id)
    assert releases.publish(offers[2]).is_new
    assert len(releases.ids()) == 5
    with pytest.raises(StoreError, match="is not denied; denied are: none"):
        allow(releases, three[2].release_id)


def test_going_back_further_denies_everything_on_the_way(
    releases: Releases, three: list[Manifest]
) -> None:
    pointer = roll_back(releases, three[0].release_id, reason="all wrong")
    assert releases.current() == three[0]
    assert [one.release_id for one in pointer.denied] == [one.release_id for one in three[1:]]
    with pytest.raises(ReleaseRefusedError, match="those are: none"):
        roll_back(releases, reason="once more")


def test_a_release_after_a_rollback_is_newer_than_all_that_were_current(
    releases: Releases, offers: list[Candidate]
) -> None:
    now = datetime.now(UTC)
    before = [
        releases.publish(offers[number], now=now + timedelta(hours=number)) for number in range(2)
    ]
    roll_back(releases, reason="bad")
    after = releases.publish(offers[2], now=now + timedelta(minutes=30)).manifest
    assert after.release_id > before[1].manifest.release_id
    assert releases.ids()[-1] == after.release_id


def test_what_cannot_be_gone_back_to_is_refused_and_changes_nothing(
    releases: Releases, offers: list[Candidate], three: list[Manifest]
) -> None:
    before = releases.pointer()
    for unknown in ("2001", three[2].release_id):
        with pytest.raises(ReleaseRefusedError, match="is not an earlier release that was current"):
            roll_back(releases, unknown, reason="x")
    damaged = f"{releases.folder(three[1].release_id)}/data/genes/part-00000.parquet"
    releases.store.delete([damaged])
    with pytest.raises(ReleaseRefusedError, match=r"is damaged: data/genes/.* is missing"):
        roll_back(releases, reason="x")
    again = releases.publish(offers[0]).manifest
    with pytest.raises(ReleaseRefusedError, match=f"has the content of {again.release_id}"):
        roll_back(releases, three[0].release_id, reason="x")
    assert before is not None
    assert releases.pointer() != before


def test_a_publisher_who_was_faster_is_not_overwritten(
    releases: Releases, offers: list[Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        releases.publish(offers[number])
    ids = Releases.ids

    def publish_then_list(self: Releases) -> list[str]:
        monkeypatch.setattr(Releases, "ids", ids)
        found = ids(self)
        self.publish(offers[2])
        return found

    monkeypatch.setattr(Releases, "ids", publish_then_list)
    with pytest.raises(ConflictError):
        roll_back(releases, reason="x")
    assert releases.current().data_version == offers[2].data_version


# --- verify ------------------------------------------------------------------------------


def test_verify_finds_what_is_missing_damaged_and_unlisted(
    releases: Releases, offers: list[Candidate]
) -> None:
    manifest = releases.publish(offers[0]).manifest
    folder = releases.folder(manifest.release_id)
    assert verify(releases.store, folder, manifest) == []
    store = releases.store
    store.delete([f"{folder}/data/genes/part-00000.parquet"])
    store.put_if_absent(f"{folder}/data/stray.json", b"{}")
    axis = f"{folder}/data/gene_axis/collection_id-0000/part-00000.parquet"
    body = bytearray(store.get(axis))
    body[40] ^= 1
    store.client.put_object(Bucket=store.bucket, Key=axis, Body=bytes(body))
    page = f"{folder}/audit/checks/genes.html"
    store.client.put_object(Bucket=store.bucket, Key=page, Body=b"all is even better")
    faults = verify(store, folder, manifest)
    assert len(faults) == 4
    for expected in (
        "checks/genes.html has the SHA-256",
        "gene_axis/collection_id-0000/part-00000.parquet has the SHA-256",
        "genes/part-00000.parquet is missing",
        "data/stray.json is not listed",
    ):
        assert any(expected in fault for fault in faults), expected


# --- garbage -----------------------------------------------------------------------------


def test_garbage_is_what_rules_say_and_nothing_else(
    releases: Releases, offers: list[Candidate], three: list[Manifest], tmp_path: Path
) -> None:
    store, now = releases.store, datetime.now(UTC)
    stage = f"{releases.product}/releases/20200101T000000.000Z-dead00/data/genes/part.parquet"
    store.put_if_absent(stage, b"half")

    def found(days: float) -> dict[str, tuple[str, ...]]:
        every = find_garbage(releases, now=now + timedelta(days=days))
        return {one.what: one.keys for one in every if not one.what.startswith("lake")}

    assert found(6) == {}
    assert found(8) == {"release 20200101T000000.000Z-dead00": (stage,)}
    # Three releases are among the last fourteen: old as they are, they stay.
    assert found(400) == {"release 20200101T000000.000Z-dead00": (stage,)}
    for turn in range(14):
        releases.publish(offers[3 if turn % 2 else 2 if turn else 0])
    assert found(29).keys() == {"release 20200101T000000.000Z-dead00"}
    old = found(31)
    assert old.keys() >= {f"release {one.release_id}" for one in three}
    assert old[f"release {three[0].release_id}"][0].endswith("manifest.json")
    collect(releases, find_garbage(releases, now=now + timedelta(days=31)))
    assert found(31) == {}
    kept = releases.ids()
    assert len(kept) == 14
    assert not list(store.list(f"{releases.folder(three[0].release_id)}/"))
    for one in (kept[0], kept[-1]):
        assert verify(store, releases.folder(one), releases.manifest(one)) == []


def test_a_release_that_became_current_since_it_was_found_is_kept(
    releases: Releases, three: list[Manifest]
) -> None:
    keys = tuple(info.key for info in releases.store.list(releases.folder(three[1].release_id)))

    stale = [Garbage("x", "y", keys, 0)]
    roll_back(releases, reason="bad")
    collect(releases, stale)
    assert verify(releases.store, releases.folder(three[1].release_id), three[1]) == []


def test_what_no_release_holds_goes_from_the_lake_when_it_is_old(
    object_store: ObjectStore, store_prefix: str, tmp_path: Path
) -> None:
    """The part of a killed run; a table that was never released, its record and its evidence."""
    lake = Lake(object_store, store_prefix, tmp_path)
    releases = Releases(lake, store_prefix)
    released = candidate(lake)
    releases.publish(released)
    orphan = f"{lake.prefix}/genes/{'0' * 64}.parquet"
    object_store.put_if_absent(orphan, b"a killed run made this")
    left = store_table(lake, "genes", declared_rows(TABLES["genes"], first=9))
    evidence = f"{lake.prefix}/evidence/genes/{left.data_version}-suite.json"
    object_store.put_if_absent(evidence, b"{}")
    rows, place = declared_rows(GENE_SNAPSHOTS), default_partition(GENE_SNAPSHOTS)
    snapshot = NewPart("gene_snapshots", rows, place)
    lake.build("snapshots/x", Origin(code=()), lambda: [snapshot])
    everything = {info.key for info in object_store.list(f"{lake.prefix}/")}
    now = datetime.now(UTC)
    assert find_garbage(releases, now=now + timedelta(days=29)) == []
    found = find_garbage(releases, now=now + timedelta(days=31))
    assert [one.what for one in found] == ["lake tables", "lake records", "lake parts of genes"]
    gone = {key for one in found for key in one.keys}
    assert gone == {
        orphan,
        evidence,
        left.parts[0].key,
        f"{lake.prefix}/tables/genes/{left.data_version}.json",
        *found[1].keys,
    }
    assert len(found[1].keys) == 1
    collect(releases, found)
    assert {info.key for info in object_store.list(f"{lake.prefix}/")} == everything - gone
    assert find_garbage(releases, now=now + timedelta(days=31)) == []
    assert not releases.publish(candidate(lake)).is_new, "the lake remembers what is released"
    again = store_table(lake, "genes", declared_rows(TABLES["genes"], first=9))
    assert again.data_version == left.data_version, "what went is made again"


def test_a_table_that_was_released_since_it_was_found_is_kept(
    object_store: ObjectStore, store_prefix: str, tmp_path: Path
) -> None:
    lake = Lake(object_store, store_prefix, tmp_path)
    releases = Releases(lake, store_prefix)
    offered = candidate(lake)
    found = find_garbage(releases, now=datetime.now(UTC) + timedelta(days=31))
    assert found
    releases.publish(offered)
    collect(releases, [one for one in found if one.what != "lake records"])
    for name, table in offered.tables.items():
        assert lake.table(name, table.data_version) == table
        assert all(object_store.exists(part.key) for part in table.parts)


def test_copies_on_this_machine_go_when_nobody_reads_them(tmp_path: Path) -> None:
    held, dropped = "a" * 64, "b" * 64
    names = {
        f"parts/{held}.parquet": False,
        f"parts/{dropped}.parquet": True,
        f"parts/{dropped}.aligned.npy": True,
        f"vectors/{held}.npy": False,
        f"vectors/{dropped}.ids.npy": True,
        "parts/tmpdead/part": True,
        "vectors/tmpdead.part": True,
        "manifests/genept-0/latest.json": False,
    }
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content")

    def stale(days: float) -> list[StaleCopies]:
        now = datetime.now(UTC) + timedelta(days=days)
        return stale_copies(tmp_path, {held}, now=now, age=timedelta(days=30))

    assert stale(0.5) == []
    assert [one.why for one in stale(2)] == ["what killed processes left half written"]
    found = stale(31)
    assert sum(one.bytes for one in found) == 7 * sum(names.values())
    for one in found:
        one.delete()
    assert {name: not (tmp_path / name).exists() for name in names} == names
