"""Going back: the pointer moves on to an earlier release, and the bad content stays away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from declared_rows import (
    candidate,
    declared_rows,
    store_table,
    with_tables,
)

from genept.common.errors import ConflictError, StoreError
from genept.release.gate import History
from genept.release.manifest import Manifest
from genept.release.publish import ReleaseCandidate, Releases
from genept.release.rollback import allow, roll_back, verify
from genept.release.staging import ReleaseRefusedError
from genept.schema.tables import TABLES
from genept.storage.lake import Lake
from genept.storage.local_files import StaleCopies, stale_copies


@pytest.fixture(scope="module")
def lake(planted_lake: Lake) -> Lake:
    return planted_lake


@pytest.fixture(scope="module")
def offers(lake: Lake) -> list[ReleaseCandidate]:
    first = candidate(lake)
    genes = [
        store_table(lake, "genes", declared_rows(TABLES["genes"], first=n)) for n in range(1, 4)
    ]
    return [first, *(with_tables(first, genes=rows) for rows in genes)]


@pytest.fixture
def releases(lake: Lake, store_prefix: str) -> Releases:
    return Releases(lake, store_prefix)


@pytest.fixture
def three(releases: Releases, offers: list[ReleaseCandidate]) -> list[Manifest]:
    return [releases.publish(offers[number]).manifest for number in range(3)]


def test_the_release_before_is_current_again_and_the_sequence_rises(
    releases: Releases, three: list[Manifest]
) -> None:
    pointer = roll_back(releases, reason="wrong genes")
    assert releases.pointer() == pointer
    assert releases.current() == three[1]
    assert (pointer.seq, pointer.rolled_back_from) == (4, three[2].release_id)
    assert pointer.previous == three[2].release_id
    assert [(denied.release_id, denied.reason) for denied in pointer.denied] == [
        (three[2].release_id, "wrong genes")
    ]
    assert releases.ids() == [manifest.release_id for manifest in three], (
        "it happened, so it is listed"
    )


def test_denied_content_does_not_come_back_until_it_is_allowed(
    releases: Releases, offers: list[ReleaseCandidate], three: list[Manifest]
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


def test_content_that_is_denied_does_not_come_back_under_an_older_name(
    releases: Releases, offers: list[ReleaseCandidate]
) -> None:
    """The same content was published twice: going back passes over both."""
    first = releases.publish(offers[0]).manifest
    releases.publish(offers[1])
    releases.publish(offers[0])
    roll_back(releases, reason="bad")
    with pytest.raises(ReleaseRefusedError, match="there is no earlier release"):
        roll_back(releases, reason="this one is bad, too")
    with pytest.raises(ReleaseRefusedError, match="not an earlier release that was current"):
        roll_back(releases, first.release_id, reason="x")


def test_a_release_that_is_being_deleted_cannot_be_gone_back_to(
    releases: Releases, three: list[Manifest]
) -> None:
    for doomed in (three[1], three[0]):
        releases.marks.change(lambda marks, it=doomed: marks.with_doomed([it.release_id]))
        with pytest.raises(ReleaseRefusedError, match=f"is deleting {doomed.release_id}: go back"):
            roll_back(releases, three[1].release_id, reason="x")
    releases.marks.change(lambda marks: marks.with_doomed([]))
    assert roll_back(releases, reason="x").release_id == three[1].release_id


def test_going_back_further_denies_everything_on_the_way(
    releases: Releases, three: list[Manifest]
) -> None:
    pointer = roll_back(releases, three[0].release_id, reason="all wrong")
    assert releases.current() == three[0]
    assert [release.release_id for release in pointer.denied] == [
        release.release_id for release in three[1:]
    ]
    with pytest.raises(ReleaseRefusedError, match="there is no earlier release"):
        roll_back(releases, reason="once more")


def test_a_release_after_a_rollback_is_newer_than_all_that_were_current(
    releases: Releases, offers: list[ReleaseCandidate]
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
    releases: Releases, offers: list[ReleaseCandidate], three: list[Manifest]
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
    releases: Releases, offers: list[ReleaseCandidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        releases.publish(offers[number])
    history = Releases.history

    def publish_after(self: Releases) -> History:
        monkeypatch.setattr(Releases, "history", history)
        before = history(self)
        self.publish(offers[2])
        return before

    monkeypatch.setattr(Releases, "history", publish_after)
    with pytest.raises(ConflictError):
        roll_back(releases, reason="x")
    assert releases.current().data_version == offers[2].data_version


def test_older_releases_that_are_collected_meanwhile_do_not_stop_it(
    releases: Releases, three: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    history = Releases.history

    def collect_after(self: Releases, *gone: Manifest) -> History:
        before = history(self)
        self.store.delete([self.manifest_key(manifest.release_id) for manifest in gone])
        return before

    monkeypatch.setattr(Releases, "history", lambda self: collect_after(self, three[0], three[1]))
    with pytest.raises(ReleaseRefusedError, match="is damaged: its manifest is gone"):
        roll_back(releases, reason="x")
    releases.store.put_if_absent(releases.manifest_key(three[1].release_id), three[1].body())
    monkeypatch.setattr(Releases, "history", lambda self: collect_after(self, three[0]))
    assert roll_back(releases, reason="x").release_id == three[1].release_id


# --- verify ------------------------------------------------------------------------------


def test_verify_finds_what_is_missing_damaged_and_unlisted(
    releases: Releases, offers: list[ReleaseCandidate]
) -> None:
    manifest = releases.publish(offers[0]).manifest
    folder = releases.folder(manifest.release_id)
    assert verify(releases.store, folder, manifest) == []
    store = releases.store
    store.delete([f"{folder}/data/genes/part-00000.parquet"])
    store.put_if_absent(f"{folder}/data/stray.json", b"{}")
    axis = f"{folder}/data/gene_axis/collection_id=collection_id-0000/part-00000.parquet"
    body = bytearray(store.get(axis))
    body[40] ^= 1
    store.client.put_object(Bucket=store.bucket, Key=axis, Body=bytes(body))
    page = f"{folder}/audit/checks/genes.html"
    store.client.put_object(Bucket=store.bucket, Key=page, Body=b"all is even better")
    faults = verify(store, folder, manifest)
    assert len(faults) == 4
    for expected in (
        "checks/genes.html has the SHA-256",
        "gene_axis/collection_id=collection_id-0000/part-00000.parquet has the SHA-256",
        "genes/part-00000.parquet is missing",
        "data/stray.json is not listed",
    ):
        assert any(expected in fault for fault in faults), expected


# --- copies on this machine -------------------------------------------------------------


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
    assert [copy.why for copy in stale(2)] == ["incomplete files of killed processes"]
    copies = stale(31)
    assert sum(copy.bytes for copy in copies) == 7 * sum(names.values())
    for copy in copies:
        copy.delete()
    assert {name: not (tmp_path / name).exists() for name in names} == names
