"""Sources and mirrors in buckets: the installation's own, signed; public ones, as HTTPS."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from genept.common.errors import SourceError
from genept.datasources.catalogue import Catalogue
from genept.datasources.download.archives import Archives
from genept.datasources.download.mirrors import SourceLocations
from genept.datasources.source import Source
from genept.storage.object_store import ObjectStore

TABLE = b"symbol\tid\n" + b"TP53\tENSG00000141510\n" * 5000


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "title": "a table",
        "publisher": "the tests",
        "address": "s3://lake/x/table.tsv",
        "bytes": 10**6,
        "licence": "CC0-1.0",
        "redistributable": True,
        "citation": "none",
        "checksum": "etag",
    } | changes


def archives_of(folder: Path, locations: SourceLocations, **changes: Any) -> Archives:
    sources = {"x": entry(**changes)}
    return Archives(
        Catalogue.model_validate({"sources": sources, "collections": {}}),
        folder,
        locations=locations,
    )


def signed(store: ObjectStore, *mirrors: str) -> SourceLocations:
    return SourceLocations(mirrors, presign=lambda bucket, key: store.presigned(key, bucket=bucket))


def test_an_object_of_the_own_bucket_is_read_signed_and_asked_for_news(
    object_store: ObjectStore, store_prefix: str, tmp_path: Path
) -> None:
    key = f"{store_prefix}/table.tsv"
    etag = object_store.put_if_match(key, TABLE, None)
    address = f"s3://{object_store.bucket}/{key}"
    archives = archives_of(tmp_path, signed(object_store), address=address, signed=True)
    assert archives.fetch("x").read_bytes() == TABLE
    first = archives.probe("x")
    assert (first.state, first.requests, first.place) == ("unchanged", 1, address)
    object_store.put_if_match(key, TABLE[:-22], etag)
    assert archives.probe("x").state == "changed"
    assert archives.fetch("x", refresh=True).read_bytes() == TABLE[:-22]
    assert "Signature" not in (tmp_path / "x" / "seen.json").read_text()


def test_a_transfer_from_a_bucket_is_resumed(
    object_store: ObjectStore, store_prefix: str, tmp_path: Path
) -> None:
    key = f"{store_prefix}/table.tsv"
    etag = object_store.put_if_match(key, TABLE, None)
    address = f"s3://{object_store.bucket}/{key}"
    archives = archives_of(tmp_path, signed(object_store), address=address, signed=True)
    (tmp_path / "x").mkdir()
    partial = tmp_path / "x" / "table.tsv.partial"
    partial.write_bytes(b"S" + TABLE[1:40_000])  # marked, to see that it is not sent again
    note = f'{{"place": "{address}", "etag": {_quoted(etag)}, "modified": null}}'
    partial.with_name("table.tsv.partial.json").write_text(note)
    assert archives.fetch("x").read_bytes() == b"S" + TABLE[1:]


def _quoted(etag: str) -> str:
    return '"' + f'"{etag.strip(chr(34))}"'.replace('"', '\\"') + '"'


def test_a_prefix_of_the_store_is_a_mirror(
    object_store: ObjectStore, store_prefix: str, tmp_path: Path
) -> None:
    object_store.put_if_absent(f"{store_prefix}/tables/t.tsv", TABLE)
    locations = signed(object_store, f"s3://{object_store.bucket}/{store_prefix}")
    archives = archives_of(
        tmp_path, locations, mirror="tables/t.tsv", address=None, checksum=None,
        sha256=hashlib.sha256(TABLE).hexdigest(), bytes=len(TABLE),
    )  # fmt: skip
    assert archives.fetch("x").read_bytes() == TABLE


def test_what_is_not_in_the_bucket_is_said_without_the_signature(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    address = f"s3://{object_store.bucket}/absent.tsv"
    archives = archives_of(tmp_path, signed(object_store), address=address, signed=True)
    with pytest.raises(SourceError, match=r"s3://lake/absent\.tsv is not there") as caught:
        archives.fetch("x")
    assert "Signature" not in str(caught.value)


def test_a_signed_source_needs_a_store(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no object store is configured"):
        archives_of(tmp_path, SourceLocations(), signed=True).fetch("x")


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("s3://bucket/a/b.h5ad", "https://bucket.s3.us-west-2.amazonaws.com/a/b.h5ad"),
        ("s3://dotted.name/a", "https://s3.us-west-2.amazonaws.com/dotted.name/a"),
    ],
)
def test_a_public_bucket_is_a_web_server(address: str, url: str) -> None:
    source = Source.model_validate({"id": "x"} | entry(address=address, region="us-west-2"))
    assert source.url == url
