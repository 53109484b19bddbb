"""One SQL catalogue of all kept releases: the current one, and earlier ones by their version."""

from __future__ import annotations

import hashlib
import logging
import secrets

import duckdb
import pytest
from declared_rows import candidate, declared_rows, store_table, with_tables

from genept.common.errors import StoreError
from genept.release.catalogs import shared_catalog as module
from genept.release.catalogs.frozen_catalog import make_catalog
from genept.release.catalogs.shared_catalog import (
    CatalogNote,
    catalogued,
    refresh_catalog,
    shared_catalog_key,
    version_of,
)
from genept.release.manifest import Manifest
from genept.release.publish import Releases
from genept.release.rollback import allow, roll_back
from genept.schema.tables import TABLES
from genept.storage.duckdb_files import duckdb_connection
from genept.storage.lake import Lake


@pytest.fixture
def releases(planted_lake: Lake) -> Releases:
    return Releases(planted_lake, f"tests/shared-{secrets.token_hex(4)}")


def publish(releases: Releases, genes: int, *, with_catalog: bool = True) -> Manifest:
    """A release with so many genes."""
    rows = declared_rows(TABLES["genes"], genes)
    offered = with_tables(candidate(releases.lake), genes=store_table(releases.lake, "genes", rows))
    return releases.publish(offered, catalog=make_catalog if with_catalog else None).manifest


def attached(releases: Releases) -> duckdb.DuckDBPyConnection:
    connection = duckdb_connection(releases.store, "ducklake")
    address = releases.store.uri(shared_catalog_key(releases.product))
    connection.execute(f"ATTACH 'ducklake:{address}' AS genept (READ_ONLY)")
    return connection


def genes(connection: duckdb.DuckDBPyConnection, release_id: str | None = None) -> int:
    at = f"AT (VERSION => {version_of(release_id)})" if release_id else ""
    (n,) = connection.execute(f"SELECT count(*) FROM genept.genes {at}").fetchone()  # noqa: S608
    return int(n)


def shown(connection: duckdb.DuckDBPyConnection) -> list[str]:
    query = "SELECT commit_message FROM genept.snapshots() WHERE snapshot_id > 0 ORDER BY ALL"
    return [message for (message,) in connection.execute(query).fetchall()]


def test_there_is_none_before_a_release(releases: Releases) -> None:
    assert not refresh_catalog(releases)
    assert not releases.store.exists(shared_catalog_key(releases.product))


def test_it_shows_the_current_release_and_the_ones_before(releases: Releases) -> None:
    made = []
    for number in (3, 5, 4):
        made.append(publish(releases, number).release_id)
        assert refresh_catalog(releases)
    with attached(releases) as connection:
        assert shown(connection) == made
        assert genes(connection) == 4
        assert [genes(connection, release_id) for release_id in made] == [3, 5, 4]
        for name in TABLES:
            (n,) = connection.table(f"genept.{name}").aggregate("count(*)").fetchone()
            assert n == releases.current().tables[name].rows
        (n,) = connection.execute("SELECT count(*) FROM genept.gene_vectors").fetchone()
        assert n == 3
        address = releases.store.uri(shared_catalog_key(releases.product))
        connection.execute(
            f"ATTACH 'ducklake:{address}' AS before "
            f"(READ_ONLY, SNAPSHOT_VERSION {version_of(made[1])})"
        )
        assert connection.execute("SELECT count(*) FROM before.genes").fetchone() == (5,)
        with pytest.raises(duckdb.Error, match="read-only"):
            connection.execute("DELETE FROM genept.genes")


def test_it_is_written_once(releases: Releases) -> None:
    publish(releases, 3)
    assert refresh_catalog(releases)
    key = shared_catalog_key(releases.product)
    first = releases.store.head(key)
    assert refresh_catalog(releases)
    assert releases.store.head(key) == first
    note = CatalogNote.parse(releases.store.get(f"{key}.json"), "note")
    assert note.releases == tuple(releases.ids())
    assert note.sha256 == hashlib.sha256(releases.store.get(key)).hexdigest()


@pytest.mark.slow
def test_releases_that_were_rolled_back_from_or_deleted_are_not_shown(releases: Releases) -> None:
    first, second, third = (publish(releases, number).release_id for number in (3, 4, 5))
    roll_back(releases, second, reason="bad")
    assert refresh_catalog(releases)
    with attached(releases) as connection:
        assert shown(connection) == [first, second]
        assert genes(connection) == 4
    allow(releases, third)
    assert [manifest.release_id for manifest in catalogued(releases)] == [first, second]
    fourth = publish(releases, 6).release_id
    releases.store.delete([releases.manifest_key(first)])
    assert refresh_catalog(releases)
    with attached(releases) as connection:
        assert shown(connection) == [second, third, fourth]
        assert genes(connection) == 6


def test_a_release_without_a_catalogue_is_not_shown(releases: Releases) -> None:
    publish(releases, 3, with_catalog=False)
    assert not refresh_catalog(releases)
    second = publish(releases, 4)
    assert refresh_catalog(releases)
    with attached(releases) as connection:
        assert shown(connection) == [second.release_id]


def test_a_failure_is_said_and_the_release_stays(
    releases: Releases, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = publish(releases, 3)
    assert refresh_catalog(releases)
    second = publish(releases, 4)

    def fail(*_: object) -> bytes:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(module, "_joined", fail)
        assert not refresh_catalog(releases)
    assert "the disk is full" in caplog.text
    assert releases.current() == second
    with attached(releases) as connection:
        assert shown(connection) == [first.release_id], "the old one is whole"
    assert refresh_catalog(releases), "the next publication writes it"
    with attached(releases) as connection:
        assert shown(connection) == [first.release_id, second.release_id]


def test_a_slower_writer_does_not_hide_a_newer_release(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(releases, 3)
    original, made = module._joined, []

    def overtaken(*arguments: object) -> bytes:
        body = original(*arguments)  # type: ignore[arg-type]
        if not made:
            made.append(publish(releases, 5).release_id)
            assert refresh_catalog(releases)
        return body

    monkeypatch.setattr(module, "_joined", overtaken)
    assert refresh_catalog(releases)
    with attached(releases) as connection:
        assert genes(connection) == 5


def test_versions_are_the_digits_of_the_time() -> None:
    assert version_of("20261130T040000.123Z-abc123") == 20261130040000123
