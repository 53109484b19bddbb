"""Publication: whole, immutable, refused without proof, and unharmed by kills and races."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from declared_rows import candidate, declared_rows, passing, store_table
from fault_proxy import fault_proxy
from release_runs import (
    MOMENTS,
    Dying,
    Interrupted,
    _publish_and_die,
    assert_converges,
    assert_whole,
    reached_at,
)

from genept.common.errors import ConflictError, StoreError
from genept.release import publish as release_module
from genept.release.fencing import Claim
from genept.release.manifest import Manifest, Pointer
from genept.release.publish import Published, ReleaseCandidate, Releases
from genept.release.rollback import roll_back
from genept.release.staging import ReleaseRefusedError
from genept.schema.tables import TABLES
from genept.storage.lake import Lake
from genept.storage.object_store import ObjectStore
from genept.storage.provenance import StoredTable


@pytest.fixture(scope="module")
def lake(planted_lake: Lake) -> Lake:
    """One lake for all tests; each publishes from it a product of its own."""
    return planted_lake


@pytest.fixture(scope="module")
def offers(lake: Lake) -> list[ReleaseCandidate]:
    """Complete candidates of different content."""
    first = candidate(lake)
    return [first, *(with_other_genes(lake, first, number) for number in range(1, 3))]


def with_other_genes(lake: Lake, offered: ReleaseCandidate, number: int) -> ReleaseCandidate:
    genes = store_table(lake, "genes", declared_rows(TABLES["genes"], first=number))
    tables = {**offered.tables, "genes": genes}
    return replace(offered, tables=tables, evidence=passing(tables))


@pytest.fixture
def releases(lake: Lake, store_prefix: str) -> Releases:
    return Releases(lake, store_prefix)


def seen_by(store: ObjectStore, releases: Releases) -> Releases:
    """The same releases through another connection."""
    product = releases.lake.prefix.removesuffix("/lake")
    return Releases(Lake(store, product, releases.lake.cache), releases.product)


def pointer(releases: Releases) -> Pointer | None:
    key = f"{releases.product}/current.json"
    if not releases.store.exists(key):
        return None
    return Pointer.model_validate_json(releases.store.get(key))


def objects(releases: Releases) -> dict[str, str]:
    """Every object of the product, with its ETag."""
    return {info.key: info.etag for info in releases.store.list(releases.product + "/")}


# --- publishing --------------------------------------------------------------------------


def test_nothing_is_current_before_the_first_release(releases: Releases) -> None:
    assert releases.current_id() is None
    assert releases.ids() == []
    with pytest.raises(StoreError, match="nothing has been released yet: run `genept run`"):
        releases.current()
    with pytest.raises(StoreError, match="no release 'x'; the latest are: none"):
        releases.manifest("x")


def test_a_release_becomes_current_whole_and_says_where_it_comes_from(
    releases: Releases, offers: list[ReleaseCandidate]
) -> None:
    offered = replace(offers[0], limits={"max_genes": 3})
    published = releases.publish(offered)
    assert published.is_new
    manifest = releases.current()
    assert manifest == published.manifest
    assert_whole(releases, manifest)
    assert releases.ids() == [manifest.release_id]
    assert (manifest.complete, manifest.limits) == (False, {"max_genes": 3})
    assert manifest.previous is None
    assert manifest.evidence == offered.evidence
    assert [column.name for column in manifest.tables["genes"].columns][:2] == [
        "ensembl_gene_id",
        "hgnc_id",
    ]
    (file,) = manifest.tables["observations"].files
    assert file.path == "data/observations/collection_id=collection_id-0000/part-00000.parquet"
    assert file.origin == offered.tables["observations"].parts[0].origin
    page = f"{releases.product}/releases/{manifest.release_id}/audit/checks/genes.html"
    assert (
        hashlib.sha256(releases.store.get(page)).hexdigest() == manifest.audit["checks/genes.html"]
    )
    assert releases.address("id", "data/x") == f"s3://lake/{releases.product}/releases/id/data/x"
    current = pointer(releases)
    assert current is not None
    assert (current.seq, current.previous) == (1, None)


def test_a_partial_release_does_not_take_the_place_of_a_complete_one(
    releases: Releases, offers: list[ReleaseCandidate]
) -> None:
    whole, other = offers[0], offers[1]
    partial = replace(other, limits={"max_genes": 3})
    assert releases.publish(partial).is_new, "there is nothing that it would replace"
    assert releases.publish(whole).is_new
    with pytest.raises(ReleaseRefusedError, match="max_genes.*GENEPT_PRODUCT=trial"):
        releases.publish(partial)
    assert releases.current().complete


def test_publishing_the_same_again_changes_nothing(
    releases: Releases, offers: list[ReleaseCandidate]
) -> None:
    first = releases.publish(offers[0])
    before = objects(releases)

    def rendered() -> dict[str, bytes]:
        raise AssertionError("the pages of a release that does not come about were rendered")

    again = releases.publish(replace(offers[0], audit=rendered))
    assert not again.is_new
    assert again.manifest == first.manifest
    assert objects(releases) == before


def test_releases_follow_one_another_and_old_ones_stay(
    releases: Releases, offers: list[ReleaseCandidate]
) -> None:
    first, second, third = (releases.publish(offers[number]).manifest for number in range(3))
    assert releases.ids() == [manifest.release_id for manifest in (first, second, third)]
    assert releases.ids() == sorted(releases.ids())
    assert third.previous == second.release_id
    assert releases.current() == third
    current = pointer(releases)
    assert current is not None
    assert (current.seq, current.previous) == (3, second.release_id)
    for manifest in (first, second, third):
        assert releases.manifest(manifest.release_id) == manifest
        assert_whole(releases, manifest)
    with pytest.raises(StoreError, match=f"no release '2001'; .*{third.release_id}"):
        releases.manifest("2001")


def test_old_releases_that_were_deleted_are_not_listed(
    releases: Releases, offers: list[ReleaseCandidate]
) -> None:
    first, second = (releases.publish(offers[number]).manifest for number in range(2))
    folder = f"{releases.product}/releases/{first.release_id}"
    releases.store.delete([f"{folder}/manifest.json"])
    assert releases.ids() == [second.release_id]


def test_going_back_to_earlier_content_is_a_new_release(
    releases: Releases, offers: list[ReleaseCandidate]
) -> None:
    first = releases.publish(offers[0]).manifest
    releases.publish(offers[1])
    third = releases.publish(offers[0])
    assert third.is_new
    assert third.manifest.data_version == first.data_version
    assert third.manifest.release_id > first.release_id


def test_documents_survive_being_stored(releases: Releases, offers: list[ReleaseCandidate]) -> None:
    manifest = releases.publish(offers[0]).manifest
    assert Manifest.model_validate_json(manifest.body()).stored_sha256 == manifest.stored_sha256


# --- what is refused ---------------------------------------------------------------------


def without(offered: ReleaseCandidate, name: str) -> ReleaseCandidate:
    return replace(offered, tables={k: v for k, v in offered.tables.items() if k != name})


def unproved(offered: ReleaseCandidate, name: str) -> ReleaseCandidate:
    return replace(offered, evidence={k: v for k, v in offered.evidence.items() if k != name})


def proved_by(offered: ReleaseCandidate, name: str, **changed: object) -> ReleaseCandidate:
    proof = offered.evidence[name].model_copy(update=changed)
    return replace(offered, evidence={**offered.evidence, name: proof})


def with_table(offered: ReleaseCandidate, name: str, **part: object) -> ReleaseCandidate:
    """The part's record says something else than what lies in the lake."""
    (part_of_table,) = offered.tables[name].parts
    tables = {**offered.tables, name: StoredTable(name, (replace(part_of_table, **part),))}  # type: ignore[arg-type]
    return replace(offered, tables=tables, evidence=passing(tables))


REFUSED: dict[str, tuple[Callable[[ReleaseCandidate], ReleaseCandidate], str]] = {
    "missing table": (lambda it: without(it, "genes"), "tables are missing .*: genes"),
    "undeclared table": (
        lambda it: replace(it, tables={**it.tables, "gossip": it.tables["genes"]}),
        "does not declare gossip",
    ),
    "missing evidence": (
        lambda it: unproved(it, "genes"),
        "genes: there is no evidence that this content was checked",
    ),
    "evidence of other content": (
        lambda it: proved_by(it, "genes", data_version="0" * 64),
        "genes: there is no evidence that this content was checked",
    ),
    "evidence of another table": (
        lambda it: replace(it, evidence={**it.evidence, "genes": it.evidence["expression"]}),
        "genes: there is no evidence that this content was checked",
    ),
    "failing evidence": (
        lambda it: proved_by(it, "genes", passed=False, failed=("symbol: 3 are empty",)),
        "genes failed its checks: symbol: 3 are empty",
    ),
    "other rows than recorded": (
        lambda it: with_table(it, "genes", rows=9),
        "holds 3 rows, 9 were",
    ),
    "another dimension than recorded": (
        lambda it: with_table(it, "gene_embeddings", dimension=8),
        "does not have the schema that genept/schema/tables declares",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), REFUSED.values(), ids=REFUSED)
def test_a_release_without_proof_leaves_the_pointer_alone(
    releases: Releases,
    offers: list[ReleaseCandidate],
    spoil: Callable[[ReleaseCandidate], ReleaseCandidate],
    message: str,
) -> None:
    first = releases.publish(offers[0])
    before = pointer(releases)
    with pytest.raises(ReleaseRefusedError, match=message):
        releases.publish(spoil(offers[1]))
    assert pointer(releases) == before
    assert sum(key.endswith("manifest.json") for key in objects(releases)) == 1
    assert releases.current() == first.manifest


def test_even_what_is_current_is_refused_once_it_fails_its_checks(
    releases: Releases, offers: list[ReleaseCandidate]
) -> None:
    offered = offers[0]
    releases.publish(offered)
    with pytest.raises(ReleaseRefusedError, match="genes failed its checks"):
        releases.publish(proved_by(offered, "genes", passed=False, failed=("stricter",)))


def test_a_staged_object_that_was_tampered_with_is_refused(
    releases: Releases, offers: list[ReleaseCandidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    releases.publish(offers[0])
    before = pointer(releases)
    original = release_module.audit

    def tamper_then_audit(store: ObjectStore, folder: str, tables: object) -> None:
        key = f"{folder}/data/genes/part-00000.parquet"
        body = bytearray(store.get(key))
        body[-9] ^= 1
        store.client.put_object(Bucket=store.bucket, Key=key, Body=bytes(body))
        original(store, folder, tables)

    monkeypatch.setattr(release_module, "audit", tamper_then_audit)
    with pytest.raises(ReleaseRefusedError, match="genes/part-00000.parquet does not read back"):
        releases.publish(offers[1])
    assert pointer(releases) == before


def test_a_clock_that_was_ahead_or_is_behind_blocks_nobody(
    releases: Releases, offers: list[ReleaseCandidate]
) -> None:
    """Releases follow one another in the order in which they became current."""
    now = datetime.now(UTC)
    ahead = releases.publish(offers[0], now=now + timedelta(days=365)).manifest
    second = releases.publish(offers[1], now=now).manifest
    third = releases.publish(offers[2], now=now - timedelta(days=1)).manifest
    assert releases.ids() == [manifest.release_id for manifest in (ahead, second, third)]
    assert second.release_id[:15] == ahead.release_id[:15], "one millisecond later"
    assert second.created_at[:10] == f"{now:%Y-%m-%d}", "when it was made is said as it was"
    back = roll_back(releases, reason="bad", now=now)
    assert back.release_id == second.release_id
    again = releases.publish(offers[0], now=now).manifest
    assert again.release_id > third.release_id
    current = pointer(releases)
    assert current is not None
    assert current.seq == 5


def test_a_manifest_other_than_the_sealed_one_is_not_read(
    releases: Releases, offers: list[ReleaseCandidate]
) -> None:
    manifest = releases.publish(offers[0]).manifest
    key = f"{releases.product}/releases/{manifest.release_id}/manifest.json"
    body = releases.store.get(key).replace(b'"complete": true', b'"complete": false')
    releases.store.client.put_object(Bucket=releases.store.bucket, Key=key, Body=body)
    for read in (releases.current, lambda: releases.publish(offers[0])):
        with pytest.raises(StoreError, match="is not the manifest that was sealed"):
            read()


def replaced(releases: Releases, key: str, **fields: object) -> bytes:
    """Write a document with more or other fields, as another version would."""
    body = json.dumps(json.loads(releases.store.get(key)) | fields).encode()
    releases.store.client.put_object(Bucket=releases.store.bucket, Key=key, Body=body)
    return body


def test_optional_fields_of_a_later_version_are_ignored_and_kept(
    releases: Releases, offers: list[ReleaseCandidate]
) -> None:
    manifest = releases.publish(offers[0]).manifest
    key = f"{releases.product}/releases/{manifest.release_id}/manifest.json"
    tables = json.loads(releases.store.get(key))["tables"]
    tables["genes"]["mood"] = tables["genes"]["files"][0]["mood"] = "calm"
    sealed = replaced(releases, key, tables=tables, signature="x")
    pointed = f"{releases.product}/current.json"
    replaced(releases, pointed, mood="calm", manifest_sha256=hashlib.sha256(sealed).hexdigest())
    assert releases.current().tables["genes"].rows == manifest.tables["genes"].rows
    assert not releases.publish(offers[0]).is_new
    Claim(releases).take("one", lambda _: "given up")
    Claim(releases).take("other", lambda _: "given up")
    stored = json.loads(releases.store.get(pointed))
    assert (stored["mood"], stored["seq"]) == ("calm", 2), "kept by whoever writes the same anew"
    assert releases.publish(offers[1]).is_new
    roll_back(releases, manifest.release_id, reason="x")
    assert_whole(releases, releases.current())


@pytest.mark.parametrize("document", ["pointer", "manifest"])
def test_a_later_format_is_refused_with_what_to_do(
    releases: Releases, offers: list[ReleaseCandidate], document: str
) -> None:
    release_id = releases.publish(offers[0]).manifest.release_id
    pointed = f"{releases.product}/current.json"
    key = f"{releases.product}/releases/{release_id}/manifest.json"
    body = replaced(releases, key if document == "manifest" else pointed, format=2, tables={})
    if document == "manifest":
        replaced(releases, pointed, manifest_sha256=hashlib.sha256(body).hexdigest())
    for use in (releases.current, lambda: releases.publish(offers[1])):
        with pytest.raises(StoreError, match=r"has format 2, .*pip install --upgrade genept-plat"):
            use()


def test_a_damaged_pointer_is_said(releases: Releases) -> None:
    releases.store.put_if_absent(f"{releases.product}/current.json", b'{"format": 1}')
    with pytest.raises(StoreError, match="current.json is not a pointer that this version reads"):
        releases.current()


@pytest.mark.parametrize("moment", MOMENTS)
def test_after_an_interruption_a_rerun_converges(
    releases: Releases, offers: list[ReleaseCandidate], moment: str
) -> None:
    first = releases.publish(offers[0])
    access = releases.store.access
    with reached_at(access.endpoint_url, access, Dying) as store:
        store.moment = MOMENTS[moment]
        with pytest.raises(Interrupted):
            seen_by(store, releases).publish(offers[1])
    assert_converges(releases, offers, first, moment)


@pytest.mark.slow
def test_after_a_kill_a_rerun_converges(releases: Releases, offers: list[ReleaseCandidate]) -> None:
    lake, spawning = releases.lake, multiprocessing.get_context("spawn")
    moments = ["while staging", "before the audit", "after the seal", "after the swap"]
    known = [Releases(lake, f"{releases.product}/{number}") for number in range(len(moments))]
    firsts = [own.publish(offers[0]) for own in known]
    product = lake.prefix.removesuffix("/lake")
    children = [
        spawning.Process(
            target=_publish_and_die,
            args=(lake.store.access, product, lake.cache, own.product, offers[1], moment),
        )
        for own, moment in zip(known, moments, strict=True)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [-signal.SIGKILL] * len(moments)
    for own, first, moment in zip(known, firsts, moments, strict=True):
        assert_converges(own, offers, first, moment)


def test_a_lost_answer_to_the_swap_is_success(
    releases: Releases, offers: list[ReleaseCandidate]
) -> None:
    endpoint = releases.store.access.endpoint_url
    assert endpoint
    with fault_proxy(endpoint) as proxy, reached_at(proxy.url, releases.store.access) as store:
        shaken = seen_by(store, releases)
        shaken.publish(offers[0])
        swap = proxy.seen.count("PUT") - 1 + 2  # the second release has its differences, too
        proxy.plan("PUT", *[None] * swap, "lost response")  # type: ignore[list-item]
        published = shaken.publish(offers[1])
        assert proxy.remaining() == 0
    assert published.is_new
    assert releases.current() == published.manifest
    current = pointer(releases)
    assert current is not None
    assert (current.seq, current.previous) == (2, published.manifest.previous)


# --- races -------------------------------------------------------------------------------

PUBLISHERS, ROUNDS = 4, 3


@pytest.fixture
def poll(releases: Releases) -> Iterator[list[Pointer]]:
    """Readers that look all the time; the pointers they saw, in order."""
    seen: list[Pointer] = []
    torn: list[BaseException] = []
    done = threading.Event()

    def look() -> None:
        try:
            while not done.is_set():
                if (current := pointer(releases)) is not None:
                    seen.append(current)
                    assert_whole(releases, releases.current())
        except BaseException as error:
            torn.append(error)

    reader = threading.Thread(target=look)
    reader.start()
    yield seen
    done.set()
    reader.join()
    assert torn == []


@pytest.mark.slow
def test_of_publishers_at_once_one_wins_each_round_and_readers_see_no_torn_release(
    releases: Releases,
    offers: list[ReleaseCandidate],
    poll: list[Pointer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    everyone_has_staged = threading.Barrier(PUBLISHERS)
    original = release_module.audit

    def audit_together(store: ObjectStore, folder: str, tables: object) -> None:
        everyone_has_staged.wait(30)
        original(store, folder, tables)

    monkeypatch.setattr(release_module, "audit", audit_together)

    def publish(number: int) -> Published | str:
        try:
            return releases.publish(with_other_genes(releases.lake, offers[0], number))
        except ConflictError as error:
            return str(error)

    winners = []
    for turn in range(ROUNDS):
        numbers = range(10 + turn * PUBLISHERS, 10 + (turn + 1) * PUBLISHERS)
        with ThreadPoolExecutor(PUBLISHERS) as pool:
            answers = list(pool.map(publish, numbers))
        (won,) = (answer for answer in answers if isinstance(answer, Published))
        assert all(
            "another run published while" in answer for answer in answers if answer is not won
        )
        winners.append(won.manifest)
        assert releases.current() == won.manifest
    assert releases.ids() == [manifest.release_id for manifest in winners]
    current = pointer(releases)
    assert current is not None
    assert current.seq == ROUNDS
    assert poll
    assert [seen.seq for seen in poll] == sorted(seen.seq for seen in poll)
    assert {seen.release_id for seen in poll} <= {seen.release_id for seen in winners}


def test_a_zombie_of_an_older_attempt_is_refused(
    releases: Releases, offers: list[ReleaseCandidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed run's process goes on while the retry publishes: the retry stands."""
    retry = offers[1]
    original = release_module.audit
    published = []

    def retry_then_audit(store: ObjectStore, folder: str, tables: object) -> None:
        monkeypatch.setattr(release_module, "audit", original)
        published.append(releases.publish(retry))
        original(store, folder, tables)

    monkeypatch.setattr(release_module, "audit", retry_then_audit)
    with pytest.raises(ConflictError, match="another run published"):
        releases.publish(offers[0])
    assert releases.current() == published[0].manifest
    assert releases.ids() == [published[0].manifest.release_id], "the zombie's seal is no release"
