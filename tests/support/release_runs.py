"""Runs that publish and are killed at a given moment, and what must hold after them."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from declared_rows import declared_rows, passing, store_table

from genept.release.layout import released_schema
from genept.release.manifest import Manifest
from genept.release.publish import Published, ReleaseCandidate, Releases
from genept.schema.tables import TABLES
from genept.storage.bucket import Access
from genept.storage.lake import Lake
from genept.storage.object_store import ObjectStore


def reached_at(
    url: str | None, access: Access, kind: type[ObjectStore] = ObjectStore
) -> ObjectStore:
    return kind(url, access.access_key, access.secret_key, access.region, access.bucket)


def assert_whole(releases: Releases, manifest: Manifest) -> None:
    """Assert that every table exists, and that every listed file has its bytes, rows and schema."""
    assert set(manifest.tables) == set(TABLES)
    for name, table in manifest.tables.items():
        for file in table.files:
            body = releases.store.get(
                f"{releases.product}/releases/{manifest.release_id}/{file.path}"
            )
            assert hashlib.sha256(body).hexdigest() == file.sha256
            rows = pq.read_table(pa.BufferReader(body))
            assert rows.num_rows == file.rows
            assert rows.schema.equals(released_schema(TABLES[name].schema(file.dimension)))


# --- kills and failures ------------------------------------------------------------------


class Interrupted(BaseException):
    """The end of a process, which no code may catch."""


class Dying(ObjectStore):
    """A store that ends the process before or after a write to a key with the given ending."""

    moment = ("", "")

    def put_if_absent(self, key: str, *args: object, **options: object) -> bool:
        return self._around(key, lambda: ObjectStore.put_if_absent(self, key, *args, **options))

    def put_if_match(self, key: str, *args: object) -> str:
        return self._around(key, lambda: ObjectStore.put_if_match(self, key, *args))

    def _around(self, key: str, write: Callable[[], object]) -> object:
        when, ending = self.moment
        if when == "before" and key.endswith(ending):
            self.end()
        written = write()
        if when == "after" and key.endswith(ending):
            self.end()
        return written

    def end(self) -> None:
        raise Interrupted


class Killed(Dying):
    def end(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


MOMENTS = {
    "before staging": (
        "before",
        "data/collections/collection_id=collection_id-0000/part-00000.parquet",
    ),
    "while staging": (
        "after",
        "data/expression/collection_id=collection_id-0000/part-00000.parquet",
    ),
    "before the audit": ("after", "data/model_evaluations/model=model-0000/part-00000.parquet"),
    "before the seal": ("before", "/manifest.json"),
    "after the seal": ("after", "/manifest.json"),
    "before the swap": ("before", "/current.json"),
    "after the swap": ("after", "/current.json"),
}


def assert_converges(
    releases: Releases, offers: list[ReleaseCandidate], first: Published, moment: str
) -> None:
    """Assert that only an end after the swap moved the pointer, and that a rerun publishes."""
    swapped = moment == "after the swap"
    assert (releases.current() == first.manifest) != swapped
    assert_whole(releases, releases.current())
    published = releases.publish(offers[1])
    assert published.is_new != swapped
    assert releases.current() == published.manifest
    assert releases.ids() == [first.manifest.release_id, published.manifest.release_id]
    assert_whole(releases, published.manifest)


def _publish_and_die(
    access: Access, lake: str, cache: Path, product: str, candidate: ReleaseCandidate, moment: str
) -> None:
    store = reached_at(access.endpoint_url, access, Killed)
    store.moment = MOMENTS[moment]
    Releases(Lake(store, lake, cache), product).publish(candidate)


def small_candidate(lake: Lake, number: int) -> ReleaseCandidate:
    """A candidate of few tables whose `genes` depend on `number`."""
    tables = {
        "collections": store_table(lake, "collections"),
        "embedding_origins": lake.assemble("embedding_origins", []),
        "genes": store_table(lake, "genes", declared_rows(TABLES["genes"], first=number)),
    }
    return ReleaseCandidate(
        tables=tables, evidence=passing(tables), sources={}, platform_version="1"
    )
