"""The object store's client against the real server, and through a proxy that breaks things."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow.dataset
import pytest
from botocore.loaders import JSONFileLoader
from botocore.utils import parse_timestamp
from fault_proxy import FaultProxy, fault_proxy
from hypothesis import given
from hypothesis import strategies as st

from genept.common.errors import ConflictError, InvalidKeyError, MissingObjectError, StoreError
from genept.common.settings import Settings
from genept.storage import object_store as s3
from genept.storage.connect import open_store
from genept.storage.duckdb_files import duckdb_connection, duckdb_secret
from genept.storage.embedded_store import EmbeddedStore
from genept.storage.object_store import ObjectStore
from genept.storage.requests import check_key, moment


@pytest.fixture
def proxy(object_store: ObjectStore) -> Iterator[FaultProxy]:
    assert object_store.access.endpoint_url
    with fault_proxy(object_store.access.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def shaken(proxy: FaultProxy, object_store: ObjectStore) -> Iterator[ObjectStore]:
    """The session's bucket, seen through the proxy."""
    with reached_at(proxy.url, object_store) as store:
        yield store


def reached_at(
    url: str | None, store: ObjectStore, *, secret: str | None = None, bucket: str | None = None
) -> ObjectStore:
    access = store.access
    return ObjectStore(
        url,
        access.access_key,
        secret or access.secret_key,
        access.region,
        bucket or access.bucket,
    )


@pytest.fixture(params=["one request", "parts"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways a body can travel."""
    if request.param == "parts":
        monkeypatch.setattr(s3, "SINGLE_REQUEST_BYTES", 0)
    return str(request.param)


# --- what is written can be read ---------------------------------------------------------


@pytest.mark.parametrize("seen", ["HeadObject", "GetObject"])
def test_what_others_delete_under_a_writers_hands_is_written_anew(object_store, store_prefix, seen):
    """Two merge the same shards; a third has merged theirs before the second looks at it."""
    key, mine = f"{store_prefix}/merged", reached_at(object_store.access.endpoint_url, object_store)
    object_store.put_if_absent(key, b"the same")
    deleted = []

    def delete_once(**_: object) -> None:
        if not deleted:
            object_store.delete([key])
            deleted.append(key)

    mine.client.meta.events.register(f"before-call.s3.{seen}", delete_once)
    assert mine.put_if_absent(key, b"the same") is True
    assert deleted
    assert object_store.get(key) == b"the same"


def test_what_is_deleted_all_the_time_is_an_error_in_the_end(object_store, store_prefix):
    key, mine = f"{store_prefix}/merged", reached_at(object_store.access.endpoint_url, object_store)
    body = b"the same"

    def write(**_: object) -> None:
        object_store.put_if_absent(key, body)

    def delete(**_: object) -> None:
        object_store.delete([key])

    mine.client.meta.events.register("before-call.s3.PutObject", write)
    mine.client.meta.events.register("before-call.s3.HeadObject", delete)
    with pytest.raises(StoreError, match="is deleted by another process each time it is written"):
        mine.put_if_absent(key, body)


@pytest.mark.parametrize(
    "name", ["plain.json", "space=minilm-l6-v2/name-go", "with space", "a+b%20c&d", "µ–×.parquet"]
)
def test_any_permitted_key_comes_back_as_it_was(
    object_store: ObjectStore, store_prefix: str, name: str
) -> None:
    key = f"{store_prefix}/{name}"
    assert object_store.put_if_absent(key, b"content")
    assert object_store.get(key) == b"content"
    assert [(info.key, info.bytes) for info in object_store.list(store_prefix + "/")] == [(key, 7)]
    assert object_store.uri(key) == f"s3://lake/{key}"


def test_bodies_larger_than_a_part_arrive_whole(
    object_store: ObjectStore, store_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "SINGLE_REQUEST_BYTES", 6 << 20)
    monkeypatch.setattr(s3, "PART_BYTES", 5 << 20)
    body = secrets.token_bytes(12 << 20)
    sha256 = hashlib.sha256(body).hexdigest()
    source, target = tmp_path / "source", tmp_path / "folder" / "target"
    source.write_bytes(body)
    key = f"{store_prefix}/large"
    assert object_store.put_if_absent(key, source, sha256=sha256)
    assert not object_store.put_if_absent(key, source)
    object_store.download(key, target, sha256)
    assert target.read_bytes() == body
    with pytest.raises(ConflictError, match="other content"):
        object_store.put_if_absent(key, b"x" + body[1:])


def test_absent_objects(object_store: ObjectStore, store_prefix: str, tmp_path: Path) -> None:
    key = f"{store_prefix}/nothing"
    assert object_store.head(key) is None
    assert not object_store.exists(key)
    assert list(object_store.list(store_prefix)) == []
    with pytest.raises(MissingObjectError, match=key):
        object_store.get(key)
    with pytest.raises(MissingObjectError, match=key):
        object_store.download(key, tmp_path / "file", "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_download_leaves_no_file(
    object_store: ObjectStore, store_prefix: str, tmp_path: Path
) -> None:
    object_store.put_if_absent(f"{store_prefix}/x", b"content")
    with pytest.raises(StoreError, match="damaged"):
        object_store.download(f"{store_prefix}/x", tmp_path / "file", "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_delete(
    object_store: ObjectStore, store_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "DELETED_AT_ONCE", 2)
    keys = [f"{store_prefix}/{number}" for number in range(5)]
    for key in keys:
        object_store.put_if_absent(key, b"x")
    object_store.delete([*keys[:4], f"{store_prefix}/never-there"])
    assert [info.key for info in object_store.list(store_prefix)] == keys[4:]


@pytest.mark.parametrize(
    "key", ["", "/a", "a//b", "a/", "../a", "a/../b", "a/./b", "a\\b", "a\nb", "x" * 1025]
)
def test_keys_that_servers_disagree_about_are_never_sent(
    proxy: FaultProxy, shaken: ObjectStore, key: str
) -> None:
    with pytest.raises(InvalidKeyError):
        shaken.put_if_absent(key, b"x")
    with pytest.raises(InvalidKeyError):
        shaken.get(key)
    with pytest.raises(InvalidKeyError):
        shaken.delete([key])
    assert proxy.seen == []


@given(st.text(alphabet="ab./\\é", max_size=12))
def test_permitted_keys_name_one_place_only(key: str) -> None:
    try:
        check_key(key)
    except InvalidKeyError:
        parts = key.split("/")
        assert "\\" in key or {"", ".", ".."} & set(parts)
    else:
        assert str(Path("/base", key).resolve()) == f"/base/{key}"


# --- conditions ---------------------------------------------------------------------------


def test_put_if_absent_is_idempotent_and_never_overwrites(
    object_store: ObjectStore, store_prefix: str, way: str
) -> None:
    key = f"{store_prefix}/x"
    assert object_store.put_if_absent(key, b"first")
    assert not object_store.put_if_absent(key, b"first")
    for other in (b"other", b"other length"):
        with pytest.raises(ConflictError, match="other content"):
            object_store.put_if_absent(key, other)
    assert object_store.get(key) == b"first"


def test_bytes_that_do_not_have_their_hash_are_not_stored(
    object_store: ObjectStore, store_prefix: str, way: str
) -> None:
    with pytest.raises(StoreError):
        object_store.put_if_absent(f"{store_prefix}/x", b"content", sha256="0" * 64)
    assert not object_store.exists(f"{store_prefix}/x")


def test_eight_creators_of_one_key(object_store: ObjectStore, store_prefix: str) -> None:
    """In one request; SeaweedFS does not promise this for uploads in parts."""
    with ThreadPoolExecutor(8) as threads:
        same = threads.map(
            lambda _: object_store.put_if_absent(f"{store_prefix}/same", b"x"), range(8)
        )
        assert sorted(same) == [False] * 7 + [True]
        other = list(
            threads.map(
                lambda number: succeeds(
                    lambda: object_store.put_if_absent(f"{store_prefix}/other", b"%d" % number)
                ),
                range(8),
            )
        )
    assert sum(other) == 1
    assert object_store.get(f"{store_prefix}/other") == b"%d" % other.index(True)


def test_eight_writers_of_one_pointer_have_one_winner_each_round(
    object_store: ObjectStore, store_prefix: str
) -> None:
    key, etag = f"{store_prefix}/current.json", None
    with ThreadPoolExecutor(8) as threads:
        for _ in range(5):
            bodies = [secrets.token_bytes(16) for _ in range(8)]
            won = list(
                threads.map(
                    lambda body, etag=etag: succeeds(
                        lambda: object_store.put_if_match(key, body, etag)
                    ),
                    bodies,
                )
            )
            assert sum(won) == 1
            body, etag = object_store.get_with_etag(key)
            assert body == bodies[won.index(True)]


def succeeds(write: object) -> bool:
    """Whether the write got through; any refusal but a conflict is a failure of the test."""
    try:
        write()  # type: ignore[operator]
    except ConflictError:
        return False
    return True


def test_put_if_match_refuses_what_changed_or_went(
    object_store: ObjectStore, store_prefix: str
) -> None:
    key = f"{store_prefix}/current.json"
    first = object_store.put_if_match(key, b"1", None)
    second = object_store.put_if_match(key, b"2", first)
    assert object_store.get_with_etag(key) == (b"2", second)
    for stale in (first, None):
        with pytest.raises(ConflictError, match="another writer"):
            object_store.put_if_match(key, b"3", stale)
    object_store.delete([key])
    with pytest.raises(ConflictError, match="gone"):
        object_store.put_if_match(key, b"3", second)
    assert not object_store.exists(key)


def test_uploads_of_killed_writers_are_aborted(
    object_store: ObjectStore, store_prefix: str
) -> None:
    object_store.client.create_multipart_upload(Bucket="lake", Key=f"{store_prefix}/orphan")
    assert object_store.abort_orphaned_uploads(timedelta(hours=1)) == 0
    assert object_store.abort_orphaned_uploads(timedelta(seconds=-5)) == 1
    assert object_store.abort_orphaned_uploads(timedelta(seconds=-5)) == 0


# --- faults -------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["503", "reset", "lost response", "409"])
@pytest.mark.parametrize("times", [1, 2])
def test_put_if_absent_survives(
    proxy: FaultProxy, shaken: ObjectStore, store_prefix: str, fault: str, times: int
) -> None:
    proxy.plan("PUT", *[fault] * times)
    assert shaken.put_if_absent(f"{store_prefix}/x", b"content")
    assert proxy.remaining() == 0
    assert shaken.get(f"{store_prefix}/x") == b"content"


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("fault", ["503", "reset", "lost response"])
def test_upload_in_parts_survives(
    proxy: FaultProxy,
    shaken: ObjectStore,
    store_prefix: str,
    fault: str,
    method: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A POST begins and completes the upload; the answer to either may get lost."""
    monkeypatch.setattr(s3, "SINGLE_REQUEST_BYTES", 0)
    proxy.plan(method, fault)
    assert shaken.put_if_absent(f"{store_prefix}/x", b"content")
    assert proxy.remaining() == 0
    assert shaken.get(f"{store_prefix}/x") == b"content"
    shaken.abort_orphaned_uploads(timedelta(seconds=-5))


def test_a_lost_answer_to_the_completion_is_no_conflict(
    proxy: FaultProxy, shaken: ObjectStore, store_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "SINGLE_REQUEST_BYTES", 0)
    complete = shaken.client.complete_multipart_upload

    def complete_and_lose(**request: object) -> object:
        proxy.plan("POST", "lost response")
        return complete(**request)  # type: ignore[arg-type]

    monkeypatch.setattr(shaken.client, "complete_multipart_upload", complete_and_lose)
    assert shaken.put_if_absent(f"{store_prefix}/x", b"content")
    assert proxy.remaining() == 0
    assert shaken.get(f"{store_prefix}/x") == b"content"


@pytest.mark.parametrize("fault", ["503", "reset", "lost response", "409"])
def test_put_if_match_survives(
    proxy: FaultProxy, shaken: ObjectStore, store_prefix: str, fault: str
) -> None:
    key, etag = f"{store_prefix}/current.json", None
    for nonce in (b"1", b"2"):
        proxy.plan("PUT", fault)
        etag = shaken.put_if_match(key, nonce, etag)
        assert shaken.get_with_etag(key) == (nonce, etag)
    assert proxy.remaining() == 0


@pytest.mark.parametrize("fault", ["503", "reset", "cut body", "hang"])
def test_get_survives(
    proxy: FaultProxy,
    shaken: ObjectStore,
    store_prefix: str,
    tmp_path: Path,
    fault: str,
) -> None:
    shaken.read_timeout = 1
    body = secrets.token_bytes(3 << 20)
    shaken.put_if_absent(f"{store_prefix}/x", body)
    proxy.plan("GET", fault)
    assert shaken.get(f"{store_prefix}/x") == body
    proxy.plan("GET", fault)
    shaken.download(f"{store_prefix}/x", tmp_path / "x", hashlib.sha256(body).hexdigest())
    assert (tmp_path / "x").read_bytes() == body
    assert proxy.remaining() == 0


def test_bodies_that_are_always_cut_are_an_error_not_a_short_read(
    proxy: FaultProxy, shaken: ObjectStore, store_prefix: str
) -> None:
    shaken.put_if_absent(f"{store_prefix}/x", b"content")
    proxy.plan("GET", *["cut body"] * 3)
    with pytest.raises(StoreError, match=f"reading '{store_prefix}/x'"):
        shaken.get(f"{store_prefix}/x")


def test_a_store_that_stays_overloaded_leaves_the_pointer_alone(
    proxy: FaultProxy, shaken: ObjectStore, store_prefix: str
) -> None:
    key = f"{store_prefix}/current.json"
    etag = shaken.put_if_match(key, b"1", None)
    proxy.plan("PUT", *["503"] * 4)
    with pytest.raises(StoreError, match="overloaded"):
        shaken.put_if_match(key, b"2", etag)
    assert shaken.get_with_etag(key) == (b"1", etag)


# --- refusals that a person must act upon -------------------------------------------------


def test_a_wrong_secret_is_refused_and_said(object_store: ObjectStore, store_prefix: str) -> None:
    url = object_store.access.endpoint_url
    with (
        reached_at(url, object_store, secret="wrong") as stranger,
        pytest.raises(StoreError, match="secret key is wrong") as refusal,
    ):
        stranger.put_if_absent(f"{store_prefix}/x", b"x")
    assert "wrong'" not in str(refusal.value)
    with (
        reached_at(url, object_store, secret="wrong") as stranger,
        pytest.raises(StoreError, match="GENEPT_S3_SECRET_KEY"),
    ):
        stranger.exists(f"{store_prefix}/x")


def test_a_bucket_that_does_not_exist_is_not_made_in_passing(object_store: ObjectStore) -> None:
    with reached_at(object_store.access.endpoint_url, object_store, bucket="laek") as misspelt:
        for attempt in (lambda: misspelt.get("x"), lambda: misspelt.put_if_absent("x", b"x")):
            with pytest.raises(StoreError, match="GENEPT_BUCKET"):
                attempt()


def test_a_store_that_is_not_there_names_the_remedy(object_store: ObjectStore) -> None:
    with fault_proxy("http://127.0.0.1:1") as gone:
        url = gone.url
    with (
        reached_at(url, object_store) as nobody,
        pytest.raises(StoreError, match="genept store start"),
    ):
        nobody.get("x")


def test_secrets_are_not_shown(object_store: ObjectStore) -> None:
    assert object_store.access.secret_key
    assert object_store.access.secret_key not in repr(object_store) + repr(object_store.access)


# --- the readers of analysts --------------------------------------------------------------


def test_polars_pyarrow_and_duckdb_read_the_same_rows(
    object_store: ObjectStore, store_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    frame = pl.DataFrame({"gene": ["TP53", "MYC"], "value": [0.5, 2.0]})
    frame.write_parquet(tmp_path / "part.parquet")
    key = f"{store_prefix}/part.parquet"
    object_store.put_if_absent(key, tmp_path / "part.parquet")
    uri = object_store.uri(key)

    options = object_store.access.storage_options()
    assert pl.scan_parquet(uri, storage_options=options).collect().equals(frame)
    dataset = pyarrow.dataset.dataset(
        f"lake/{store_prefix}", filesystem=object_store.access.filesystem(), format="parquet"
    )
    assert pl.DataFrame(dataset.to_table()).equals(frame)
    folder_uri = object_store.uri(f"{store_prefix}/*.parquet")
    with duckdb_connection(object_store) as connection:
        rows = connection.execute("SELECT gene, value FROM read_parquet(?)", [uri]).fetchall()
        folder = connection.execute("SELECT count(*) FROM read_parquet(?)", [folder_uri])
        assert folder.fetchall() == [(2,)]
    assert rows == frame.rows()
    assert not (tmp_path / "nowhere").exists()


def test_a_quote_in_a_key_does_not_end_the_duckdb_secret() -> None:
    with ObjectStore("https://s3.example", "it's", "a'b", "us-east-1", "lake") as store:
        secret = duckdb_secret(store.access)
    assert "KEY_ID 'it''s', SECRET 'a''b'" in secret
    assert "ENDPOINT 's3.example', URL_STYLE 'path'" in secret
    assert "USE_SSL true" in secret


def test_encrypted_endpoints_and_aws_itself_stay_encrypted() -> None:
    other = ObjectStore("https://s3.example", "key", "secret", "eu-west-1", "lake")
    assert other.access.storage_options()["aws_allow_http"] == "false"
    aws = ObjectStore(None, None, None, "eu-west-1", "lake")
    assert aws.access.storage_options() == {"aws_region": "eu-west-1"}


# --- settings choose the store ------------------------------------------------------------


def test_without_an_endpoint_the_embedded_store_is_used(embedded_store: EmbeddedStore) -> None:
    with open_store(Settings(state_dir=embedded_store.folder.parent), "writer") as store:
        assert store.access.endpoint_url == embedded_store.status().url
        assert list(store.list("never-written")) == []


def test_with_an_endpoint_its_keys_are_used(object_store: ObjectStore, tmp_path: Path) -> None:
    access = object_store.access
    settings = Settings(
        state_dir=tmp_path,
        s3_endpoint=access.endpoint_url,
        s3_access_key=access.access_key,
        s3_secret_key=access.secret_key,
    )
    with open_store(settings, "reader") as store:
        assert list(store.list("never-written")) == []
    assert list(tmp_path.iterdir()) == []


def test_descriptions_of_services_are_read_once_however_many_clients_there_are(
    object_store, monkeypatch
):
    read = []
    load = JSONFileLoader.load_file

    def counted(self, file_path):
        read.append(file_path)
        return load(self, file_path)

    monkeypatch.setattr(JSONFileLoader, "load_file", counted)
    for _ in range(3):
        with reached_at(object_store.access.endpoint_url, object_store) as store:
            assert store.client is not object_store.client
    assert not read, "the session's own client has read them"


@pytest.mark.parametrize(
    "stated",
    [
        *("2026-11-30T14:29:59.123Z", "2026-11-30T14:29:59Z", "2026-02-30T14:29:59Z"),
        *("Mon, 30 Nov 2026 14:29:59 GMT", "Mon, 30 Nov 2026 GMT", "2026-11-30T14:29:59+01:00"),
        *("1700000000", "20261130", "yesterday", "Z"),
    ],
)
def test_times_are_read_as_botocore_reads_them(stated: str) -> None:
    def read(parse: Callable[[str], datetime]) -> datetime | str:
        try:
            return parse(stated)
        except ValueError:
            return "invalid"

    assert read(moment) == read(parse_timestamp)
