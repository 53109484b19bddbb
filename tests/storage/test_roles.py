"""Least privilege, enforced: each role's keys against every kind of request, through boto3."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from declared_rows import candidate, with_tables

import genept
from genept.common.errors import StoreError
from genept.common.settings import Settings
from genept.release.collector import delete_garbage, list_garbage
from genept.release.publish import Releases
from genept.storage import embedded_server as server
from genept.storage.bucket import ROLES, Role
from genept.storage.embedded_state import Credentials
from genept.storage.embedded_store import REGION, EmbeddedStore
from genept.storage.lake import Lake
from genept.storage.object_store import ObjectStore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PROJECT = Path(__file__).parents[2]
PLACES = {
    "pointer": "genept/current.json",
    "catalogue": "genept/catalog/catalog.ducklake",
    "claim": "genept/run.json",
    "release": "genept/releases/one/data/genes/part-00000.parquet",
    "part": "genept/lake/genes/0.parquet",
    "table": "genept/lake/tables/genes/0.json",
    "evidence": "genept/lake/evidence/genes/0.json",
    "cache": "genept/cache/vectors/0.parquet",
    "space": "genept/spaces/declarations/own/space.json",
    "model": "genept/models/diagnosis/0/manifest.json",
    "added": "genept/added/collections/own.json",
    "inbox": "genept/inbox/own.h5ad",
    "quarantine": "genept/quarantine/own/0/report.md",
    "marks": "genept/gc/marks.json",
    "approval": "genept/approvals/one/0/approved/genes-0.json",
    "probe": "genept/probe/0/1",
    "another product": "other/current.json",
    "nowhere": "genept/notes.txt",
}
RELEASED = {"pointer", "release", "catalogue"}
OWN = set(PLACES) - {"another product"}
WORKED_IN = {"cache", "inbox", "model"}
BUILT = {
    *("part", "table", "evidence", "cache", "space", "model", "added", "inbox", "quarantine"),
    "marks",
}
STAGED = {"pointer", "claim", "approval", "release", "catalogue", "table", "evidence", "marks"}
COLLECTED = BUILT - {"inbox", "model", "marks"} | {"release"}
MAY: dict[Role, dict[str, set[str]]] = {
    "reader": {"get": RELEASED, "put": set(), "delete": set()},
    "writer": {"get": OWN, "put": BUILT | {"probe"}, "delete": WORKED_IN | {"probe"}},
    "publisher": {"get": OWN, "put": STAGED | {"probe"}, "delete": {"probe"}},
    "gc": {"get": OWN, "put": set(), "delete": COLLECTED},
}


@pytest.fixture(scope="module")
def own_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """A server that enforces the policies as they are written, for product `genept` alone."""
    store = EmbeddedStore(tmp_path_factory.mktemp("state") / "store", product="genept")
    store.start()
    yield store
    store.stop()


@pytest.fixture(scope="module")
def operator(own_store: EmbeddedStore) -> Iterator[ObjectStore]:
    endpoint = own_store.ensure()
    with ObjectStore(
        endpoint.url, endpoint.access_key, endpoint.secret_key, REGION, "lake"
    ) as store:
        for key in PLACES.values():
            store.put_if_absent(key, b"content")
        yield store


def as_role(store: EmbeddedStore, role: Role) -> ObjectStore:
    endpoint = store.ensure()
    keys = endpoint.keys(role)
    return ObjectStore(endpoint.url, keys.access_key, keys.secret_key, REGION, store.bucket)


def allowed(request: Callable[[], Any]) -> bool:
    """Whether the server did it; a refusal must be for lack of permission."""
    try:
        answer = request()
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 403:
            raise
        return False
    refused = answer.get("Errors", [])
    assert all(error["Code"] == "AccessDenied" for error in refused)
    return not refused


def requests_of(client: S3Client, key: str) -> dict[str, list[Callable[[], Any]]]:
    """Every way to read, write and delete an object."""
    place = {"Bucket": "lake", "Key": key}
    readable = {"Bucket": "lake", "Key": PLACES["release"]}
    return {
        "get": [lambda: client.get_object(**place), lambda: client.head_object(**place)],
        "put": [
            lambda: client.put_object(**place, Body=b"content"),
            lambda: client.copy_object(**place, CopySource=readable, MetadataDirective="REPLACE"),
            lambda: client.create_multipart_upload(**place),
        ],
        "delete": [
            lambda: client.delete_objects(Bucket="lake", Delete={"Objects": [{"Key": key}]}),
            lambda: client.delete_object(**place),
        ],
    }


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_what_its_policy_says_and_nothing_else(
    own_store: EmbeddedStore, operator: ObjectStore, role: Role
) -> None:
    with as_role(own_store, role) as store:
        for place, key in PLACES.items():
            for action, requests in requests_of(store.client, key).items():
                answers = [allowed(request) for request in requests]
                assert answers == [place in MAY[role][action]] * len(requests), (action, place)
                operator.client.put_object(Bucket="lake", Key=key, Body=b"content")


@pytest.mark.parametrize("role", ROLES)
def test_every_role_may_list_and_none_may_make_or_drop_a_bucket(
    own_store: EmbeddedStore, operator: ObjectStore, role: Role
) -> None:
    with as_role(own_store, role) as store:
        assert {info.key for info in store.list("genept/releases/")} == {PLACES["release"]}
        assert allowed(lambda: store.client.list_multipart_uploads(Bucket="lake")) == (role == "gc")
        for request in (
            lambda: store.client.create_bucket(Bucket="another"),
            lambda: store.client.delete_bucket(Bucket="lake"),
            lambda: store.client.put_bucket_policy(Bucket="lake", Policy="{}"),
        ):
            assert not allowed(request)


def test_what_a_role_may_not_do_is_said(own_store: EmbeddedStore, operator: ObjectStore) -> None:
    with as_role(own_store, "reader") as store:
        with pytest.raises(StoreError, match=r"AccessDenied.*may not do this"):
            store.put_if_match(PLACES["pointer"], b"mine", None)
        with pytest.raises(StoreError, match=r"genept/lake/genes/0.parquet.*may not do this"):
            store.get(PLACES["part"])


def test_deployments_find_the_enforced_policies_in_infra() -> None:
    for role in ROLES:
        document = json.loads((PROJECT / "infra" / "policies" / f"{role}.json").read_text())
        assert document == server.policy(role, "lake", "genept")
    elsewhere = json.dumps(server.policy("publisher", "shelf", "trial"))
    assert "arn:aws:s3:::shelf/trial/current.json" in elsewhere
    assert "lake/genept" not in elsewhere


def test_each_role_does_its_work_with_its_own_keys(
    embedded_store: EmbeddedStore, store_prefix: str, tmp_path: Path
) -> None:
    """Built by the writer, published by the publisher, read by the reader, collected by gc."""
    product = store_prefix.replace("/", "-")
    with (
        as_role(embedded_store, "writer") as writer,
        as_role(embedded_store, "publisher") as publisher,
        as_role(embedded_store, "reader") as reader,
        as_role(embedded_store, "gc") as gc,
    ):
        lake = Lake(writer, product, tmp_path / "writer")
        offered = candidate(lake)
        with pytest.raises(StoreError, match="AccessDenied"):
            Releases(lake, product).publish(offered)
        known = Releases(Lake(publisher, product, tmp_path / "publisher"), product)
        first = known.publish(offered).manifest
        genes = candidate(lake, first=1).tables["genes"]
        second = known.publish(with_tables(offered, genes=genes)).manifest
        seen = Releases(Lake(reader, product, tmp_path / "reader"), product)
        assert seen.current() == second
        assert seen.ids() == [first.release_id, second.release_id]
        orphan = f"{product}/lake/genes/{'0' * 64}.parquet"
        writer.put_if_absent(orphan, b"a killed run made this")
        made = writer.head(orphan)
        assert made
        later = made.last_modified + timedelta(days=31)
        assert orphan in list_garbage(known, now=later).since
        delete_garbage(known, gc, lambda _: "done", now=later + timedelta(days=1))
        assert not writer.exists(orphan)
        with pytest.raises(StoreError, match="AccessDenied"):
            list_garbage(Releases(Lake(gc, product, tmp_path / "gc"), product))


def test_an_analyst_signs_as_the_reader(embedded_store: EmbeddedStore) -> None:
    settings = Settings(state_dir=embedded_store.folder.parent)
    keys = embedded_store.ensure().keys("reader")
    assert genept.storage_options(settings=settings)["aws_access_key_id"] == keys.access_key


def test_a_store_from_before_there_were_roles_is_started_anew(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "store")
    try:
        before = store.start()
        with as_role(store, "writer") as writer:
            writer.put_if_absent("genept/lake/kept", b"content")
        path = store.folder / "credentials.json"
        old = json.loads(path.read_text())
        del old["roles"]
        path.write_text(json.dumps(old))
        pid = store.status().pid
        after = store.ensure()
        assert store.status().pid != pid
        assert after.secret_key == before.secret_key
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with as_role(store, "writer") as writer:
            assert writer.get("genept/lake/kept") == b"content"
        assert store.ensure().keys("reader") == after.keys("reader")
        assert store.status().pid not in {None, pid}
    finally:
        store.stop()


def test_a_store_that_was_started_before_there_were_roles_says_what_to_do() -> None:
    with pytest.raises(StoreError, match="genept store stop"):
        Credentials("key", "secret", "signing").of("writer")
