"""What was stored before a swap, and the swap itself, outlive the loss of everything unsynced."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from genept.common.errors import StoreError
from genept.common.operating_system import private_folder, write_privately
from genept.common.settings import Settings
from genept.storage import embedded_server as server
from genept.storage import embedded_state as durability
from genept.storage.connect import open_store
from genept.storage.embedded_store import EmbeddedStore
from genept.storage.object_store import ObjectStore

PART, LATE = "genept/lake/genes/0.parquet", "genept/lake/genes/1.parquet"
POINTER = "genept/current.json"


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path / "state" / "store")
    yield store
    store.stop()


def operator(store: EmbeddedStore, flush: Callable[[], None] | None = None) -> ObjectStore:
    endpoint = store.ensure()
    return ObjectStore(
        endpoint.url, endpoint.access_key, endpoint.secret_key, "us-east-1", "lake", flush=flush
    )


def kill(store: EmbeddedStore) -> None:
    process = server.find(store.status().pid, store.data)
    assert process
    process.kill()
    process.wait()


def test_what_was_synced_before_a_swap_is_there_after_a_power_loss(
    own_store: EmbeddedStore, tmp_path: Path
) -> None:
    """The worst that a power loss may leave: the files as they were when they were synced last.

    Or only the bytes of objects as they were then, and their names as they were in the end,
    because the system happened to write these out by itself.
    """
    synced: list[Path] = []

    def flush() -> None:
        own_store.flush()
        synced.append(tmp_path / f"synced-{len(synced)}")
        shutil.copytree(own_store.data, synced[-1])

    with operator(own_store, flush) as store:
        store.put_if_absent(PART, os.urandom(300_000))
        part = store.get(PART)
        etag = store.put_if_match(POINTER, b'{"seq": 1}', None)
        store.put_if_match(POINTER, b'{"seq": 2}', etag)
        store.put_if_absent(LATE, os.urandom(300_000))
        late = store.get(LATE)
    kill(own_store)
    with operator(own_store) as store:
        assert store.get(LATE) == late, "a killed server loses nothing that it acknowledged"
    kill(own_store)
    last = tmp_path / "last"
    shutil.copytree(own_store.data, last)
    assert len(synced) == 4
    lost = [
        ("the swap", synced[1], synced[1], b'{"seq": 1}'),
        ("everything later", synced[3], synced[3], b'{"seq": 2}'),
        ("the bytes of everything later", synced[3], last, b'{"seq": 2}'),
    ]
    for what, volumes, names, pointer in lost:
        shutil.rmtree(own_store.data)
        shutil.copytree(volumes, own_store.data)
        shutil.rmtree(own_store.data / "filerldb2")
        shutil.copytree(names / "filerldb2", own_store.data / "filerldb2")
        with operator(own_store) as store:
            assert store.get(PART) == part, what
            assert store.get(POINTER) == pointer, what
            store.put_if_absent("genept/lake/genes/after.parquet", b"goes on")
        kill(own_store)


def test_a_swap_waits_for_the_disk_before_and_after(
    own_store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(state_dir=own_store.folder.parent)
    order: list[str] = []
    monkeypatch.setattr(durability, "sync", lambda path: order.append(path.suffix))
    own_store.ensure()  # a publisher gets no new store
    with open_store(settings, "publisher") as store:
        store.put_if_absent("genept/releases/one/manifest.json", b"{}")
        assert order == []
        store.put_if_match(POINTER, b"{}", None)
    names = [index for index, suffix in enumerate(order) if suffix == ".log"]
    assert order[0] == ".dat", "bytes before the names that refer to them"
    assert len([index for index in names if index < len(order) / 2]) == len(names) / 2 > 0
    assert order[: len(order) // 2] == order[len(order) // 2 :], "once before, once after"


def test_a_disk_that_fails_is_no_success(
    own_store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with operator(own_store, own_store.flush) as store:
        store.put_if_absent(PART, b"content")

        def fail(_: Path) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(durability, "sync", fail)
        with pytest.raises(StoreError, match=r"may not be on disk: Input/output error"):
            store.put_if_match(POINTER, b"{}", None)
        assert not store.exists(POINTER), "no pointer to what may be lost"


def test_state_and_caches_are_closed_to_others_when_new_and_when_old(tmp_path: Path) -> None:
    state = tmp_path / "state"
    before = os.umask(0)
    try:
        for folder in (state, state / "cache", state / "dagster"):
            folder.mkdir(mode=0o777)
        settings = Settings(state_dir=state)
        assert settings.private_state() == state
        made = Settings(state_dir=tmp_path / "made" / "state").private_state()
        write_privately(state / "key", b"secret")
        private_folder(state / "new" / "inner")
    finally:
        os.umask(before)
    folders = [state, state / "cache", state / "dagster", state / "new" / "inner"]
    assert [path.stat().st_mode & 0o777 for path in [*folders, made, made / "cache"]] == [0o700] * 6
    assert (state / "key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in state.iterdir() if path.name.endswith(".part")] == []
