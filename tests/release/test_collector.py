"""Garbage: found by rules, listed, deleted a day later, and never what is in use."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from declared_rows import declared_rows, default_partition, store_table
from release_runs import small_candidate

from genept.common.errors import ConflictError, StoreError
from genept.release import gate
from genept.release.collector import delete_garbage, list_garbage
from genept.release.fencing import Claim, LostClaimError, RunState
from genept.release.garbage import Garbage, broken_chain, find_garbage
from genept.release.gate import refuse_breaking
from genept.release.manifest import Manifest
from genept.release.publish import ReleaseCandidate, Releases
from genept.release.rollback import roll_back, verify
from genept.schema.tables import GENE_SNAPSHOTS, TABLES
from genept.storage.lake import Lake
from genept.storage.object_store import ObjectStore
from genept.storage.provenance import NewPart, Origin

FEW = ("collections", "embedding_origins", "genes")
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def few_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: TABLES[name] for name in FEW}
    monkeypatch.setattr(gate, "TABLES", few)
    monkeypatch.setattr(gate, "refuse_breaking", lambda known, **_: refuse_breaking(known, few))


@pytest.fixture(scope="module")
def lake(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    product = f"tests/collector-{secrets.token_hex(4)}"
    return Lake(object_store, product, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def offers(lake: Lake) -> list[ReleaseCandidate]:
    return [small_candidate(lake, number) for number in range(3)]


@pytest.fixture
def releases(lake: Lake, store_prefix: str) -> Releases:
    """Published from a lake of another product: here the releases' folders count."""
    return Releases(lake, store_prefix)


@pytest.fixture
def ten(releases: Releases, offers: list[ReleaseCandidate]) -> list[Manifest]:
    return [releases.publish(offers[number % 3]).manifest for number in range(10)]


@pytest.fixture
def own(object_store: ObjectStore, store_prefix: str, tmp_path: Path) -> Releases:
    """With a lake of its own."""
    return Releases(Lake(object_store, store_prefix, tmp_path), store_prefix)


@pytest.fixture
def now() -> datetime:
    """A moment at which everything is old, and no more than three releases are kept for ever."""
    return datetime.now(UTC) + timedelta(days=31)


@pytest.fixture
def keep_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genept.release.garbage.RELEASES_KEPT", 3)


def always(state: RunState) -> Callable[[str], RunState]:
    return lambda _: state


def delete(releases: Releases, now: datetime) -> list[Garbage]:
    return delete_garbage(releases, releases.store, always("done"), now=now)[1]


def folders(garbage: list[Garbage]) -> list[str]:
    return [group.release_id for group in garbage if group.release_id]


def stage(releases: Releases) -> str:
    """What a run left that was killed before it sealed."""
    key = f"{releases.product}/releases/20200101T000000.000Z-dead00/data/genes/part.parquet"
    releases.store.put_if_absent(key, b"half")
    return key


# --- what is garbage ---------------------------------------------------------------------


def test_a_stage_is_garbage_after_a_week_and_old_releases_beyond_the_last(
    releases: Releases, ten: list[Manifest], keep_three: None
) -> None:
    left, today = stage(releases), datetime.now(UTC)

    def found(days: float) -> list[str]:
        return folders(find_garbage(releases, now=today + timedelta(days=days)))

    assert found(6) == []
    assert found(8) == [left.split("/")[-4]]
    assert found(29) == found(8)
    assert found(31) == [*found(8), *(manifest.release_id for manifest in ten[:7])]
    old = find_garbage(releases, now=today + timedelta(days=31))[1]
    assert old.keys[0].endswith("/manifest.json")


def test_before_the_first_release_no_folder_is_garbage(releases: Releases, now: datetime) -> None:
    """The first publication may be under way, and there is no pointer to stop it by."""
    stage(releases)
    assert folders(find_garbage(releases, now=now)) == []


@pytest.mark.parametrize("lost", [0, 4, 8])
def test_a_lost_manifest_stops_the_collection_of_releases_until_it_is_accepted(
    releases: Releases, ten: list[Manifest], keep_three: None, now: datetime, lost: int
) -> None:
    gone = ten[lost].release_id
    stage(releases)
    body = releases.store.get(releases.manifest_key(gone))
    releases.store.delete([releases.manifest_key(gone)])
    history = releases.history()
    assert history.ids == tuple(manifest.release_id for manifest in ten[lost + 1 :])
    assert history.uncertain == tuple(manifest.release_id for manifest in ten[:lost])
    young = datetime.now(UTC) + timedelta(days=8)
    if lost == 0:  # nothing older lies there: so ends every chain that was collected
        assert (history.missing, broken_chain(releases)) == ((), None)
        return
    assert history.missing == (gone,)
    assert f"manifest of {gone} is missing" in (broken_chain(releases) or "")
    assert f"--accept-missing {gone}" in (broken_chain(releases) or "")
    list_garbage(releases, now=now)
    assert folders(delete(releases, now + 2 * DAY)) == []
    accepted = find_garbage(releases, now=young, accepted=[gone])
    assert set(folders(accepted)) <= {"20200101T000000.000Z-dead00", gone}, "none of the others"
    assert broken_chain(releases, [gone]) is None
    old = folders(find_garbage(releases, now=now, accepted=[gone]))
    assert set(old) <= {manifest.release_id for manifest in ten[:7]} | {
        "20200101T000000.000Z-dead00",
        gone,
    }
    releases.store.put_if_absent(releases.manifest_key(gone), body)
    assert releases.ids() == [manifest.release_id for manifest in ten]


def test_what_uncertain_releases_hold_stays_in_the_lake(own: Releases, now: datetime) -> None:
    manifests = [own.publish(small_candidate(own.lake, number)).manifest for number in range(4)]
    own.store.delete([own.manifest_key(manifests[2].release_id)])
    listed = {key for garbage in find_garbage(own, now=now) for key in garbage.keys}
    for manifest in manifests[:2]:
        (file,) = manifest.tables["genes"].files
        assert not any(file.sha256 in key for key in listed)


def test_what_no_release_holds_goes_from_the_lake_when_it_is_old(
    own: Releases, now: datetime
) -> None:
    """The part of a killed run; a table that was never released, its record and its evidence."""
    lake, store = own.lake, own.store
    own.publish(small_candidate(lake, 0))
    orphan = f"{lake.prefix}/genes/{'0' * 64}.parquet"
    store.put_if_absent(orphan, b"a killed run made this")
    left = store_table(lake, "genes", declared_rows(TABLES["genes"], first=9))
    evidence = f"{lake.prefix}/evidence/genes/{left.data_version}-suite.json"
    store.put_if_absent(evidence, b"{}")
    rows, place = declared_rows(GENE_SNAPSHOTS), default_partition(GENE_SNAPSHOTS)
    snapshot = NewPart("gene_snapshots", rows, place)
    lake.build("snapshots/x", Origin(code=()), lambda: [snapshot])
    drawn = {f"{lake.prefix}/pictures/1.png", f"{lake.prefix}/reports/1.json"}
    for key in drawn:
        store.put_if_absent(key, b"drawn")
    everything = {info.key for info in store.list(f"{lake.prefix}/")}
    assert find_garbage(own, now=now - 2 * DAY) == []
    garbage = list_garbage(own, now=now).garbage
    assert [group.what for group in garbage] == [
        "lake tables",
        "lake records",
        "lake pictures and reports",
        "lake parts of genes",
    ]
    gone = {key for group in garbage for key in group.keys}
    assert gone == {
        orphan,
        evidence,
        left.parts[0].key,
        f"{lake.prefix}/tables/genes/{left.data_version}.json",
        *garbage[1].keys,
        *drawn,
    }
    assert len(garbage[1].keys) == 1
    assert delete(own, now + DAY / 2) == [], "it was listed half a day ago"
    assert {key for group in delete(own, now + DAY) for key in group.keys} == gone
    assert {info.key for info in store.list(f"{lake.prefix}/")} == everything - gone
    assert find_garbage(own, now=now) == []
    assert own.marks.read().listed == set()
    assert not own.publish(small_candidate(lake, 0)).is_new, "the lake remembers what is released"
    again = store_table(lake, "genes", declared_rows(TABLES["genes"], first=9))
    assert again.data_version == left.data_version, "what went is made again"


# --- deleting ----------------------------------------------------------------------------


def test_what_is_used_since_it_was_listed_stays(own: Releases, now: datetime) -> None:
    """Built again, although its age says that it is old: the next listing begins anew."""
    lake = own.lake
    own.publish(small_candidate(lake, 0))
    build: Callable[[], object] = lambda: small_candidate(lake, 5)  # noqa: E731
    build()
    before = {info.key for info in own.store.list(f"{lake.prefix}/")}
    assert list_garbage(own, now=now).since
    lake.marks = own.marks = type(own.marks)(own.store, own.product)  # another process
    build()
    assert delete(own, now + 2 * DAY) == []
    assert {info.key for info in own.store.list(f"{lake.prefix}/")} == before
    assert delete(own, now + 4 * DAY)


def test_a_run_at_work_is_not_disturbed_and_a_collector_at_work_neither(
    releases: Releases, ten: list[Manifest], keep_three: None, now: datetime
) -> None:
    list_garbage(releases, now=now)
    before = releases.pointer()
    Claim(releases).take("nightly", always("done"))
    with pytest.raises(LostClaimError, match="run nightly is at work since"):
        delete_garbage(releases, releases.store, always("at work"), now=now + 2 * DAY)
    assert releases.pointer() == before
    assert len(releases.ids()) == 10
    assert len(folders(delete(releases, now + 2 * DAY))) == 7
    with pytest.raises(LostClaimError, match="nightly was given up, and garbage collection"):
        Claim(releases).take("nightly", always("done"))
    Claim(releases).take("next nightly", always("at work"))


def test_who_loses_the_claim_deletes_nothing_more(
    own: Releases, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collector that was suspended wakes up when a run is at work."""
    own.publish(small_candidate(own.lake, 0))
    small_candidate(own.lake, 5)
    list_garbage(own, now=now)
    monkeypatch.setattr("genept.release.fencing.COLLECTION_TIME", timedelta(seconds=-1))
    deletions = []
    delete_objects = own.store.delete

    def delete_and_sleep(keys: list[str]) -> None:
        delete_objects(keys)
        deletions.append(keys)
        Claim(own).take("nightly", always("at work"))

    monkeypatch.setattr(own.store, "delete", delete_and_sleep)
    with pytest.raises(LostClaimError, match="garbage collection .* was given up, and run nightly"):
        delete(own, now + 2 * DAY)
    assert len(deletions) == 1
    Claim(own).confirm("nightly")


@pytest.mark.parametrize("other", ["publication", "rollback"])
def test_a_swap_that_was_under_way_fails_when_releases_are_deleted(
    releases: Releases,
    ten: list[Manifest],
    offers: list[ReleaseCandidate],
    keep_three: None,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    other: str,
) -> None:
    """It was suspended for so long that its own stage, or its target, became garbage."""
    list_garbage(releases, now=now)
    swap = Releases.swap
    deleted: list[Garbage] = []

    def suspended(self: Releases, *arguments: object) -> None:
        monkeypatch.setattr(Releases, "swap", swap)
        list_garbage(releases, now=now)
        deleted.extend(delete(releases, now + 8 * DAY))
        swap(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Releases, "swap", suspended)
    swaps: dict[str, Callable[[], object]] = {
        "rollback": lambda: roll_back(releases, ten[5].release_id, reason="x"),
        "publication": lambda: releases.publish(offers[1]),
    }
    with pytest.raises(ConflictError):
        swaps[other]()
    assert ten[5].release_id in folders(deleted)
    current = releases.current()
    assert current == ten[9]
    assert verify(releases.store, releases.folder(current.release_id), current) == []


def test_a_release_that_became_current_since_it_was_listed_stays(
    releases: Releases, ten: list[Manifest], keep_three: None, now: datetime
) -> None:
    list_garbage(releases, now=now)
    roll_back(releases, ten[2].release_id, reason="bad")
    gone = folders(delete(releases, now + 2 * DAY))
    assert not {ten[2].release_id, ten[1].release_id, ten[9].release_id} & set(gone)
    assert ten[3].release_id in gone
    assert verify(releases.store, releases.folder(ten[2].release_id), ten[2]) == []
    assert broken_chain(releases) is None


class Interrupted(BaseException):
    """The process ends here."""


@pytest.mark.parametrize(
    "writes", [pytest.param(n, marks=[] if n in {3, 5, 7} else pytest.mark.soak) for n in range(14)]
)
def test_a_collector_that_is_killed_leaves_nothing_torn_and_the_next_one_ends_it(
    own: Releases,
    keep_three: None,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    writes: int,
) -> None:
    for number in range(5):
        own.publish(small_candidate(own.lake, number))
    small_candidate(own.lake, 9)
    list_garbage(own, now=now)
    done = 0

    def counted(write: Callable[..., object]) -> Callable[..., object]:
        def written(*arguments: object, **options: object) -> object:
            nonlocal done
            done += 1
            if done > writes:
                raise Interrupted
            return write(*arguments, **options)

        return written

    with monkeypatch.context() as dying:
        for name in ("put_if_match", "put_if_absent", "delete"):
            dying.setattr(ObjectStore, name, counted(getattr(ObjectStore, name)))
        with pytest.raises(Interrupted):
            delete(own, now + 2 * DAY)
    current = own.current()
    assert verify(own.store, own.folder(current.release_id), current) == []
    assert broken_chain(own) is None
    monkeypatch.setattr("genept.release.fencing.COLLECTION_TIME", timedelta())
    monkeypatch.setattr("genept.release.fencing.SKEW", timedelta())
    for day in (3, 5, 7):  # what only deleted releases held is listed after them
        delete(own, now + day * DAY)
    marks = own.marks.read()
    assert (marks.doomed, marks.deleting, marks.listed) == ((), (), set())
    assert find_garbage(own, now=now + 7 * DAY) == []
    left = {info.key.split("/")[-1] for info in own.store.list(f"{own.product}/releases/")}
    assert left, "releases are there still"
    assert len(own.ids()) == 3
    for release_id in own.ids():
        assert verify(own.store, own.folder(release_id), own.manifest(release_id)) == []
    assert own.publish(small_candidate(own.lake, 9)).is_new


def test_ages_are_measured_by_the_clock_of_the_store(
    own: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of the machine that collects is a year ahead: nothing is old for that."""
    own.publish(small_candidate(own.lake, 0))
    small_candidate(own.lake, 9)

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) + timedelta(days=365)

    for module in (
        "genept.release.garbage",
        "genept.release.fencing",
        "genept.storage.garbage_list",
    ):
        monkeypatch.setattr(f"{module}.datetime", Ahead)
    listed = list_garbage(own)
    assert abs(listed.now - datetime.now(UTC)) < timedelta(hours=1)
    assert listed.garbage == ()
    delete_garbage(own, own.store, always("done"), grace=timedelta())
    monkeypatch.undo()
    Claim(own).take("nightly", always("at work"))


def test_a_claim_from_a_clock_that_is_ahead_is_not_believed(
    own: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collector whose clock is a day ahead, and which was killed, blocks nobody for a day."""
    monkeypatch.setattr("genept.release.fencing.COLLECTION_TIME", timedelta(days=1))
    Claim(own).collect("garbage collection x", always("done"))
    monkeypatch.undo()
    Claim(own).take("nightly", always("at work"))


def test_the_list_says_when_it_is_of_a_later_format(own: Releases) -> None:
    own.store.put_if_absent(own.marks.key, b'{"format": 2}')
    with pytest.raises(StoreError, match="marks.json has format 2, .*upgrade"):
        list_garbage(own)
