"""The SQL catalogue of a release: all that is in the release, to be queried and only read."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from declared_rows import candidate, declared_frame, declared_rows, store_table, with_tables

from genept.common.errors import StoreError
from genept.release.catalogs import frozen_catalog as module
from genept.release.catalogs.frozen_catalog import make_catalog, views
from genept.release.manifest import Manifest
from genept.release.publish import CATALOG, ReleaseCandidate, Releases
from genept.release.rollback import verify
from genept.schema.tables import TABLES
from genept.storage.duckdb_files import duckdb_connection
from genept.storage.lake import Lake
from genept.storage.object_store import ObjectStore
from genept.storage.provenance import NewPart, Origin

VECTORS = TABLES["gene_embeddings"]


def offered(lake: Lake) -> ReleaseCandidate:
    """Two spaces of different dimensions, and no responses to drugs."""
    parts = [
        NewPart(
            VECTORS.name,
            declared_rows(VECTORS, partition=(space,), dimension=dimension),
            (space,),
            dimension,
        )
        for space, dimension in (("m/x", 4), ("n/x", 3))
    ]
    return with_tables(
        candidate(lake),
        gene_embeddings=lake.assemble(
            VECTORS.name, lake.build("test/spaces", Origin(code=()), lambda: parts)
        ),
        drug_responses=lake.assemble("drug_responses", []),
    )


@pytest.fixture(scope="module")
def releases(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Releases:
    product = f"tests/catalog-{secrets.token_hex(4)}"
    return Releases(Lake(object_store, product, tmp_path_factory.mktemp("cache")), product)


@pytest.fixture(scope="module")
def manifest(releases: Releases) -> Manifest:
    return releases.publish(offered(releases.lake), catalog=make_catalog).manifest


@pytest.fixture(scope="module")
def connection(releases: Releases, manifest: Manifest) -> duckdb.DuckDBPyConnection:
    address = releases.address(manifest.release_id, CATALOG)
    connection = duckdb_connection(releases.store, "ducklake")
    connection.execute(f"ATTACH 'ducklake:{address}' AS genept (READ_ONLY)")
    return connection


def test_the_manifest_lists_it_with_its_hash(releases: Releases, manifest: Manifest) -> None:
    folder = releases.folder(manifest.release_id)
    body = releases.store.get(f"{folder}/{CATALOG}")
    assert manifest.catalog == {CATALOG: hashlib.sha256(body).hexdigest()}
    assert releases.manifest(manifest.release_id) == manifest
    assert verify(releases.store, folder, manifest) == []
    damaged = manifest.model_copy(update={"catalog": {CATALOG: "0" * 64}})
    assert "catalog.ducklake has the SHA-256" in verify(releases.store, folder, damaged)[0]


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_its_rows_types_and_meanings(
    connection: duckdb.DuckDBPyConnection, manifest: Manifest, name: str
) -> None:
    rows = connection.table(f"genept.{name}").pl()
    assert rows.height == manifest.tables[name].rows
    table = TABLES[name]
    if rows.height and table.vector is None:
        expected = declared_frame(table)
        assert rows.sort(table.key).equals(expected.sort(table.key))
        assert rows.schema == expected.schema
    (comment,) = connection.execute(
        "SELECT comment FROM duckdb_tables() WHERE database_name = 'genept' AND table_name = ?",
        [name],
    ).fetchone()
    assert comment == table.meaning
    comments = dict(
        connection.execute(
            "SELECT column_name, comment FROM duckdb_columns() "
            "WHERE database_name = 'genept' AND table_name = ? AND comment IS NOT NULL",
            [name],
        ).fetchall()
    )
    for column in table.columns:
        assert comments[column.name].startswith(column.meaning)
        assert column.unit is None or column.unit in comments[column.name]


def test_spaces_of_several_dimensions_are_one_table(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    rows = connection.execute(
        "SELECT space, len(embedding) FROM genept.gene_embeddings ORDER BY ALL"
    ).fetchall()
    assert rows == [("m/x", 4)] * 3 + [("n/x", 3)] * 3


@pytest.mark.parametrize("name", views())
def test_views_join_without_losing_or_doubling_rows(
    connection: duckdb.DuckDBPyConnection, manifest: Manifest, name: str
) -> None:
    tables = {
        "gene_vectors": ("gene_embeddings",),
        "labelled_observations": ("observations",),
        "scores_with_controls": ("benchmark_results", "model_evaluations"),
    }[name]
    (n,) = connection.query(f"FROM genept.{name}").aggregate("count(*)").fetchone()
    assert n == sum(manifest.tables[table].rows for table in tables)
    (comment,) = connection.execute(
        "SELECT comment FROM duckdb_views() WHERE database_name = 'genept' AND view_name = ?",
        [name],
    ).fetchone()
    assert comment == views()[name]["meaning"]


def test_the_best_control_is_the_highest_or_where_less_is_better_the_lowest(
    releases: Releases,
) -> None:
    table = TABLES["benchmark_results"]
    rows = declared_rows(table, 1).to_pylist()
    scores = [
        {**rows[0], "metric": metric, "representation": name, "value": value, "is_control": control}
        for metric in ("accuracy", "rmse")
        for name, value, control in (
            ("space", 0.5, False),
            ("high", 0.9, True),
            ("low", 0.1, True),
        )
    ]
    planted = pa.Table.from_pylist(scores, schema=declared_rows(table, 1).schema)
    asked = Releases(releases.lake, f"{releases.product}-scores")
    offered = with_tables(
        candidate(releases.lake),
        benchmark_results=store_table(releases.lake, table.name, planted),
    )
    published = asked.publish(offered, catalog=make_catalog).manifest
    with duckdb_connection(releases.store, "ducklake") as connection:
        address = asked.address(published.release_id, CATALOG)
        connection.execute(f"ATTACH 'ducklake:{address}' AS genept (READ_ONLY)")
        found = connection.execute(
            "SELECT metric, best_control, control FROM genept.scores_with_controls "
            "WHERE representation = 'space' ORDER BY metric"
        ).fetchall()
    assert found == [("accuracy", 0.9, "high"), ("rmse", 0.1, "low")]


def test_it_is_only_read(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.Error, match="read-only"):
        connection.execute("DELETE FROM genept.genes")


def test_a_copied_release_is_read_from_where_it_is(
    releases: Releases, manifest: Manifest, tmp_path: Path
) -> None:
    folder = f"{releases.folder(manifest.release_id)}/"
    for info in releases.store.list(folder):
        path = tmp_path / "copy" / info.key.removeprefix(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(releases.store.get(info.key))
    with duckdb_connection(None, "ducklake") as connection:
        connection.execute(
            f"ATTACH 'ducklake:{tmp_path}/copy/{CATALOG}' AS elsewhere "
            f"(READ_ONLY, DATA_PATH '{tmp_path}/copy/data', OVERRIDE_DATA_PATH true)"
        )
        assert connection.execute(
            "SELECT DISTINCT space FROM elsewhere.gene_vectors ORDER BY 1"
        ).fetchall() == [("m/x",), ("n/x",)]


def test_a_release_whose_catalogue_fails_is_not_published(
    releases: Releases, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = candidate(releases.lake, first=1)
    wrong = dict(module.TYPES)
    wrong[TABLES["genes"]["symbol"].type] = "BIGINT"
    monkeypatch.setattr(module, "TYPES", wrong)
    with pytest.raises(StoreError, match=r"catalogue of 2.* could not be made"):
        releases.publish(other, catalog=make_catalog)
    assert releases.current() == manifest
    assert releases.ids() == [manifest.release_id]


def test_a_release_without_one_says_nothing_of_it(releases: Releases) -> None:
    plain = Releases(releases.lake, f"{releases.product}-plain")
    body = plain.publish(offered(releases.lake)).manifest.body()
    assert b'"catalog"' not in body, "version 0.1.0 refuses fields that it does not know"
