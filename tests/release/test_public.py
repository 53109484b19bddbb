"""Public releases: without restricted data, read without keys, and nothing else is."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from all_commands import app
from declared_rows import candidate, declared_rows, default_partition, store_table, with_tables
from typer.testing import CliRunner

import genept
from genept.cli.run_report import code_to_paste
from genept.client.publication import publish_for_anybody
from genept.client.release_lookup import Snippets, open_releases
from genept.common.errors import StoreError
from genept.common.settings import Settings
from genept.release.catalogs.frozen_catalog import make_catalog
from genept.release.catalogs.shared_catalog import refresh_catalog
from genept.release.manifest import Manifest
from genept.release.public import let_anybody_read, public_product, publish_public, statements
from genept.release.publish import Releases
from genept.release.rollback import roll_back, verify
from genept.release.staging import ReleaseRefusedError
from genept.schema.tables import TABLES
from genept.storage.bucket_policy import open_as_operator
from genept.storage.connect import open_store
from genept.storage.embedded_store import EmbeddedStore
from genept.storage.lake import Lake
from genept.storage.object_store import ObjectStore
from genept.storage.provenance import StoredTable

OPEN, CLOSED = "open", "closed"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """A server of its own, whose policy these tests change."""
    embedded = EmbeddedStore(tmp_path_factory.mktemp("state") / "store")
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture(scope="module")
def settings(store: EmbeddedStore) -> Settings:
    return Settings(state_dir=store.folder.parent, product=f"p-{secrets.token_hex(4)}")


def of_both(lake: Lake, name: str, **terms: list[bool]) -> StoredTable:
    """A table of two collections, of which one may not be passed on."""
    table = TABLES[name]
    at = table.partition.index(str(table.collection))
    parts = []
    for collection in (OPEN, CLOSED):
        partition = list(default_partition(table))
        partition[at] = collection
        rows = declared_rows(table, partition=tuple(partition)).to_pylist()
        for row in rows:
            row.update(dict.fromkeys(terms, collection == OPEN))
        stored = store_table(
            lake,
            name,
            type(declared_rows(table)).from_pylist(
                rows, schema=declared_rows(table, partition=tuple(partition)).schema
            ),
        )
        parts += stored.parts
    return lake.assemble(name, parts)


@pytest.fixture(scope="module")
def manifest(settings: Settings) -> Manifest:
    """A release with restricted data, for those who have keys."""
    lake = open_releases(settings, role="writer").lake
    offered = with_tables(
        candidate(lake),
        collections=of_both(lake, "collections", redistributable=[]),
        observations=of_both(lake, "observations"),
        expression=of_both(lake, "expression"),
        sample_embeddings=of_both(lake, "sample_embeddings"),
    )
    publisher = open_releases(settings, role="publisher")
    published = publisher.publish(offered, catalog=make_catalog).manifest
    assert refresh_catalog(publisher)
    return published


@pytest.fixture(scope="module")
def public(settings: Settings, manifest: Manifest) -> Manifest:
    releases = open_releases(settings, role="publisher")
    return publish_for_anybody(releases, manifest, doi=None).manifest


@pytest.fixture
def anybody(settings: Settings, store: EmbeddedStore, tmp_path: Path) -> Settings:
    """Someone elsewhere, without keys."""
    return Settings(
        state_dir=tmp_path / "elsewhere",
        s3_endpoint=store.ensure().url,
        s3_unsigned=True,
        product=public_product(settings.product),
    )


def refused(request: Callable[[], Any]) -> bool:
    try:
        request()
    except StoreError as error:
        return "AccessDenied" in str(error) or "403" in str(error)
    return False


def test_a_copy_is_whole_and_leaves_out_what_may_not_be_passed_on(
    settings: Settings, manifest: Manifest, public: Manifest
) -> None:
    assert {file.partition for file in manifest.tables["observations"].files} == {
        (OPEN,),
        (CLOSED,),
    }
    for name in ("collections", "observations", "expression", "sample_embeddings"):
        files = public.tables[name].files
        assert not [file for file in files if CLOSED in file.partition]
        assert [file for file in files if OPEN in file.partition]
        assert public.tables[name].rows == sum(file.rows for file in files)
    assert all(file.redistributable for table in public.tables.values() for file in table.files)
    assert public.tables["genes"] == manifest.tables["genes"]
    assert CLOSED in public.left_out
    assert OPEN not in public.left_out
    assert all(page.startswith("site/") for page in public.audit), "others show restricted data"
    assert public.release_id == manifest.release_id
    copies = open_releases(
        settings.model_copy(update={"product": public_product(settings.product)})
    )
    assert copies.current() == public
    assert not verify(copies.store, copies.folder(public.release_id), public)
    for name, table in public.tables.items():
        assert public.evidence[name].data_version == table.data_version
    folder = copies.folder(public.release_id)
    web = f"{copies.store.access.endpoint_url}/{copies.store.bucket}/{folder}/manifest.json"
    for described in ("CITATION.txt", "CITATION.bib"):
        text = copies.store.get(f"{folder}/{described}").decode()
        assert web in text, "who has no keys opens no s3:// address"
        assert "s3://" not in text
    pages = {page: copies.store.get(f"{folder}/audit/{page}").decode() for page in public.audit}
    assert "site/index.html" in pages
    assert f"Left out, as they may not be redistributed: {CLOSED}" in pages["site/quality.html"]
    assert not [page for page, html in pages.items() if CLOSED in html and "quality" not in page]


def test_nobody_reads_without_keys_unless_the_user_says_so(
    settings: Settings, public: Manifest, anybody: Settings
) -> None:
    store = open_store(anybody, "reader")
    key = f"{anybody.product}/current.json"
    assert refused(lambda: store.get(key))
    operator = open_as_operator(settings)
    let_anybody_read(operator, settings.product)
    assert json.loads(store.get(key))["release_id"] == public.release_id
    let_anybody_read(operator, settings.product, allowed=False)
    assert refused(lambda: store.get(key))


@pytest.fixture
def opened(settings: Settings, public: Manifest) -> Iterator[None]:
    operator = open_as_operator(settings)
    let_anybody_read(operator, settings.product)
    yield
    let_anybody_read(operator, settings.product, allowed=False)


@pytest.mark.usefixtures("opened")
def test_every_reader_of_ours_reads_without_keys(anybody: Settings, public: Manifest) -> None:
    assert genept.releases(settings=anybody) == [public.release_id]
    observations = genept.load_table("observations", settings=anybody).collect()
    assert set(observations["collection_id"]) == {OPEN}
    ids, _ = genept.load_embeddings(space="space-0000", settings=anybody)
    assert len(ids) == 3
    near = anybody.model_copy(update={"state_dir": anybody.state_dir / "again"})
    some, _ = genept.load_embeddings(space="space-0000", ids=[str(ids[1])], settings=near)
    assert some.tolist() == [ids[1]]
    counted = genept.sql("SELECT count(*) FROM labelled_observations", settings=anybody)
    assert counted.item() == 3
    address = open_releases(anybody).address(public.release_id, "data/genes/part-00000.parquet")
    with genept.duckdb_connection(settings=anybody) as connection:
        assert connection.read_parquet(address).aggregate("count(*)").fetchall() == [(3,)]
        catalog = f"s3://lake/{anybody.product}/catalog/catalog.ducklake"
        connection.execute(f"ATTACH 'ducklake:{catalog}' AS genept (READ_ONLY)")
        assert connection.execute("SELECT count(*) FROM genept.genes").fetchall() == [(3,)]
    assert len(genept.filesystem(settings=anybody).open_input_file(address[5:]).read())


@pytest.mark.usefixtures("opened")
def test_code_to_paste_asks_for_no_keys_where_none_are_needed(
    anybody: Settings, settings: Settings, public: Manifest
) -> None:
    opened = open_releases(anybody)
    text = "\n".join(code_to_paste(Snippets(opened.files, public)))
    assert "-- any DuckDB\n" in text
    assert "store keys" not in text
    own = open_releases(settings)
    assert "keys: genept store keys" in "\n".join(code_to_paste(Snippets(own.files, own.current())))


@pytest.mark.usefixtures("opened")
def test_all_else_stays_refused_to_whoever_has_no_keys(
    settings: Settings, manifest: Manifest, anybody: Settings
) -> None:
    store, own = open_store(anybody, "reader"), open_releases(settings)
    public = f"{anybody.product}/"
    keys = [info.key for info in open_as_operator(settings).list("")]
    closed = [key for key in keys if not key.startswith(public)]
    assert {key.split("/")[1] for key in closed} >= {"current.json", "releases", "lake", "catalog"}
    for key in closed:
        assert refused(lambda key=key: store.get(key)), key
    assert refused(lambda: list(store.list(f"{settings.product}/")))
    assert refused(lambda: list(store.list("")))
    assert list(store.list(public))
    assert refused(lambda: store.put_if_absent(f"{public}mine", b"mine"))
    assert refused(lambda: store.delete([f"{public}current.json"]))
    assert refused(lambda: let_anybody_read(store, settings.product, allowed=False)), (
        "nor may they change who reads"
    )
    assert own.current() == manifest, "those who have keys read as before"
    with pytest.raises(StoreError, match="GENEPT_S3_UNSIGNED reads what is public"):
        open_store(anybody, "publisher")


def test_a_policy_of_somebody_else_stays(settings: Settings, public: Manifest) -> None:
    operator = open_as_operator(settings)
    theirs = {
        "Sid": "Theirs",
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:DeleteObject"],
        "Resource": ["arn:aws:s3:::lake/archive/*"],
    }
    document = {"Version": "2012-10-17", "Statement": [theirs]}
    operator.client.put_bucket_policy(Bucket="lake", Policy=json.dumps(document))

    def sids() -> list[str]:
        answer = operator.client.get_bucket_policy(Bucket="lake")
        return [statement["Sid"] for statement in json.loads(answer["Policy"])["Statement"]]

    let_anybody_read(operator, settings.product)
    let_anybody_read(operator, settings.product)
    ours = [it["Sid"] for it in statements("lake", public_product(settings.product))]
    assert sids() == ["Theirs", *ours], "once, however often it is said"
    let_anybody_read(operator, settings.product, allowed=False)
    assert sids() == ["Theirs"]
    operator.client.delete_bucket_policy(Bucket="lake")


def test_a_release_becomes_public_once_and_in_its_order(
    settings: Settings, manifest: Manifest, public: Manifest
) -> None:
    releases = open_releases(settings, role="publisher")
    assert not publish_public(releases, manifest).is_new
    lake = open_releases(settings, role="writer").lake
    second = releases.publish(candidate(lake, first=1)).manifest
    third = releases.publish(candidate(lake, first=2)).manifest
    roll_back(releases, second.release_id, reason="wrong sign")
    with pytest.raises(ReleaseRefusedError, match="rolled back from.*wrong sign"):
        publish_public(releases, third)
    made = publish_public(releases, second)
    assert made.is_new
    assert made.manifest.previous == manifest.release_id
    with pytest.raises(ReleaseRefusedError, match="an earlier release: publish a later one"):
        publish_public(releases, manifest)
    copies = Releases(releases.lake, public_product(settings.product))
    back = roll_back(copies, reason="a licence was misread")
    assert back.release_id == public.release_id
    assert back.denied[0].reason == "a licence was misread"


def test_the_command_publishes_only_where_the_user_says_so(
    settings: Settings, public: Manifest, anybody: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    shell = CliRunner()
    assert "say --public" in str(shell.invoke(app, ["release", "publish"]).exception)
    assert refused(lambda: open_store(anybody, "reader").get(f"{anybody.product}/current.json"))
    arguments = ["release", "publish", public.release_id, "--public"]
    printed = shell.invoke(app, arguments)
    assert printed.exit_code == 0, printed.exception
    assert "GENEPT_S3_UNSIGNED=true" in printed.output
    assert f"GENEPT_PRODUCT={anybody.product}" in printed.output
    assert genept.load_table("genes", settings=anybody).collect().height == 3
    assert shell.invoke(app, ["release", "publish", "--withdraw"]).exit_code == 0
    assert refused(lambda: open_store(anybody, "reader").get(f"{anybody.product}/current.json"))


def test_settings_are_unsigned_or_have_keys() -> None:
    with pytest.raises(ValueError, match="not both"):
        Settings(s3_unsigned=True, s3_access_key="a", s3_secret_key="b")
    store = open_store(Settings(s3_unsigned=True), "reader")
    assert isinstance(store, ObjectStore)
    assert store.access.endpoint_url is None, "AWS; no server is started"
