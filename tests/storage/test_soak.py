"""Everything at once: publishers, readers and a network that fails; kills at every step.

The same scenario twice: small in every run of the suite, and as the soak that proves it.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from declared_rows import candidate
from fault_proxy import FaultProxy, fault_proxy
from release_runs import MOMENTS, _publish_and_die, assert_converges, reached_at, small_candidate

from genept.common.errors import ConflictError, StoreError, UnreachableStoreError
from genept.release import gate
from genept.release.gate import refuse_breaking
from genept.release.manifest import Pointer
from genept.release.publish import Published, Releases
from genept.schema.tables import TABLES
from genept.storage import object_store as writes
from genept.storage.bucket import Access
from genept.storage.lake import Lake
from genept.storage.object_store import ObjectStore

FAULTY_SHARE = 0.03

READERS = 3

FEW = ("collections", "embedding_origins", "genes")
"""Tables of the releases that are published by the hundred."""


@dataclass
class Reader:
    """Polls: the pointer always, and all that it names whenever it moved, or once in a while."""

    releases: Releases
    polls: int = 0
    seqs: list[int] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)

    def poll(self) -> None:
        pointer = self.releases.pointer()
        self.polls += 1
        if pointer is None:
            return
        if not self.seqs or pointer.seq != self.seqs[-1] or self.polls % 50 == 0:
            self._read_all(pointer)
        self.seqs.append(pointer.seq)

    def _read_all(self, pointer: Pointer) -> None:
        try:
            manifest = self.releases.manifest(pointer.release_id, sha256=pointer.manifest_sha256)
            folder = self.releases.folder(manifest.release_id)
            for table in manifest.tables.values():
                for file in table.files:
                    body = self.releases.store.get(f"{folder}/{file.path}")
                    if hashlib.sha256(body).hexdigest() != file.sha256:
                        self.torn.append(file.path)
        except StoreError as error:
            self.torn.append(str(error))


@contextmanager
def polling(readers: list[Reader], least: int) -> Iterator[None]:
    """Readers that poll while the block runs, and on until they polled as often as asked."""
    done = threading.Event()

    def look(reader: Reader) -> None:
        while not done.is_set() or reader.polls < least // len(readers) + 1:
            reader.poll()

    with ThreadPoolExecutor(len(readers)) as pool:
        running = [pool.submit(look, reader) for reader in readers]
        try:
            yield
        finally:
            done.set()
        for reading in running:
            reading.result()


@pytest.mark.parametrize(
    ("publishers", "rounds", "polls"),
    [(3, 3, 60), pytest.param(8, 50, 10_000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])],
)
def test_through_faults_no_update_is_lost_and_no_reader_sees_a_torn_release(
    object_store: ObjectStore,
    store_prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    publishers: int,
    rounds: int,
    polls: int,
) -> None:
    few = {name: TABLES[name] for name in FEW}
    monkeypatch.setattr(gate, "TABLES", few)
    monkeypatch.setattr(gate, "refuse_breaking", lambda known, **_: refuse_breaking(known, few))
    access = object_store.access
    assert access.endpoint_url
    lake = Lake(object_store, store_prefix, tmp_path / "cache")
    offers = [small_candidate(lake, number) for number in range(publishers * rounds)]

    def seen_through(store: ObjectStore) -> Releases:
        return Releases(Lake(store, store_prefix, tmp_path / "cache"), store_prefix)

    with (
        fault_proxy(access.endpoint_url) as proxy,
        reached_at(proxy.url, access) as shaken,
        ThreadPoolExecutor(publishers) as pool,
    ):
        proxy.shake(FAULTY_SHARE)
        readers = [
            Reader(seen_through(shaken if number == 0 else object_store))
            for number in range(READERS)
        ]
        known = [seen_through(shaken) for _ in range(publishers)]
        won: list[str] = []
        with polling(readers, polls):
            for turn in range(rounds):
                together = threading.Barrier(publishers)

                def publish(number: int, turn: int = turn, together=together) -> Published | None:
                    together.wait(60)
                    try:
                        return known[number].publish(offers[turn * publishers + number])
                    except (ConflictError, UnreachableStoreError):
                        return None

                answers = list(pool.map(publish, range(publishers)))
                won += [
                    published.manifest.release_id for published in answers if published is not None
                ]
        assert len(set(proxy.seen)) > 1
    direct = seen_through(object_store)
    final, history = direct.pointer(), direct.ids()
    assert final is not None
    assert len(won) >= rounds * 0.9, "the network fails now and then, not all of the time"
    assert set(won) <= set(history), "an update was lost"
    assert final.seq == len(history), "a swap was not by compare-and-swap"
    assert final.release_id == history[-1] == max(history), "the newest did not stay"
    assert sum(reader.polls for reader in readers) >= polls
    for reader in readers:
        assert reader.torn == []
        assert reader.seqs == sorted(reader.seqs)


@pytest.mark.soak
def test_a_kill_at_any_step_is_repaired_by_a_rerun(
    object_store: ObjectStore, store_prefix: str, tmp_path: Path
) -> None:
    lake = Lake(object_store, store_prefix, tmp_path / "cache")
    first, second = candidate(lake), candidate(lake, first=1)
    known = {moment: Releases(lake, f"{store_prefix}/{at}") for at, moment in enumerate(MOMENTS)}
    before = {moment: releases.publish(first) for moment, releases in known.items()}
    spawning = multiprocessing.get_context("spawn")
    for moment, releases in known.items():
        reader = Reader(releases)
        child = spawning.Process(
            target=_publish_and_die,
            args=(lake.store.access, store_prefix, lake.cache, releases.product, second, moment),
        )
        child.start()
        while child.is_alive():
            reader.poll()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        assert_converges(releases, [first, second], before[moment], moment)
        reader.poll()
        assert reader.torn == []
        assert reader.seqs == sorted(reader.seqs)


# --- faults of the list that have no other place -----------------------------------------


@pytest.fixture
def shaken(object_store: ObjectStore) -> Iterator[tuple[FaultProxy, ObjectStore]]:
    access = object_store.access
    assert access.endpoint_url
    with fault_proxy(access.endpoint_url) as proxy, reached_at(proxy.url, access) as store:
        yield proxy, store


def test_an_error_under_200_is_no_success(
    shaken: tuple[FaultProxy, ObjectStore], store_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 may answer the end of an upload in parts by 200, and only then say that it failed."""
    proxy, store = shaken
    monkeypatch.setattr(writes, "SINGLE_REQUEST_BYTES", 0)
    complete = store.client.complete_multipart_upload

    def complete_and_fail(**request: object) -> object:
        proxy.plan("POST", "error under 200")
        return complete(**request)  # type: ignore[arg-type]

    monkeypatch.setattr(store.client, "complete_multipart_upload", complete_and_fail)
    assert store.put_if_absent(f"{store_prefix}/x", b"content")
    assert proxy.remaining() == 0
    assert store.get(f"{store_prefix}/x") == b"content"


def _upload_and_die(access: Access, key: str) -> None:
    writes.SINGLE_REQUEST_BYTES = 0  # type: ignore[misc]
    with reached_at(access.endpoint_url, access) as store:
        upload = store.client.upload_part

        def upload_and_die(**request: object) -> object:
            upload(**request)  # type: ignore[arg-type]
            os.kill(os.getpid(), signal.SIGKILL)

        store.client.upload_part = upload_and_die  # type: ignore[method-assign, assignment]
        store.put_if_absent(key, b"content")


@pytest.mark.soak
def test_a_kill_in_the_middle_of_an_upload_in_parts_leaves_nothing_to_read(
    object_store: ObjectStore, store_prefix: str
) -> None:
    key = f"{store_prefix}/x"
    child = multiprocessing.get_context("spawn").Process(
        target=_upload_and_die, args=(object_store.access, key)
    )
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert not object_store.exists(key)
    assert key in object_store.orphaned_uploads(timedelta(seconds=-5))
    assert object_store.put_if_absent(key, b"content")
    assert object_store.abort_orphaned_uploads(timedelta(seconds=-5)) >= 1
    assert object_store.get(key) == b"content"


@contextmanager
def disk_space_of(n_bytes: int) -> Iterator[None]:
    """Files of this process cannot grow beyond `n_bytes`: writing fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_pointer_alone_and_no_half_file(
    object_store: ObjectStore, store_prefix: str, tmp_path: Path
) -> None:
    releases = Releases(Lake(object_store, store_prefix, tmp_path / "one"), store_prefix)
    releases.publish(candidate(releases.lake))
    before, second = releases.pointer(), candidate(releases.lake, first=1)
    elsewhere = Releases(Lake(object_store, store_prefix, tmp_path / "other"), store_prefix)
    attempt: Callable[[], Published] = lambda: elsewhere.publish(second)  # noqa: E731
    with disk_space_of(512), pytest.raises(StoreError, match="could not be written"):
        attempt()
    assert releases.pointer() == before
    assert not list((tmp_path / "other").glob(".*")), "a part of a file was left"
    assert attempt().is_new
