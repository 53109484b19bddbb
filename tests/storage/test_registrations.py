"""What users registered: found again as earlier versions stored it, never rewritten, checked."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from genept.collections.user_collections import UserCollection
from genept.common.errors import StoreError
from genept.datasources.catalogue import load_catalogue
from genept.embeddings.registered_observation_vectors import registered_vectors
from genept.storage.object_store import ObjectStore
from genept.storage.registrations import Registrations, VectorFile, get_table, put_table
from genept.text.registered_gene_vectors import registered_spaces

FILE = VectorFile(file="a.csv", file_sha256="0" * 64, citation="somebody")


@pytest.fixture
def files(object_store: ObjectStore, store_prefix: str) -> Registrations[VectorFile]:
    return Registrations(object_store, f"{store_prefix}/files/", VectorFile, "file")


def test_a_declaration_stands_until_it_is_removed(files: Registrations[VectorFile]) -> None:
    assert files.add("x/y", FILE) == files.add("x/y", FILE) == FILE
    with pytest.raises(StoreError, match="a file 'x/y' is registered already"):
        files.add("x/y", FILE.model_copy(update={"licence": "CC0"}))
    assert (files.ids, files.all(), files.find("x/y")) == (["x/y"], [FILE], FILE)
    with pytest.raises(StoreError, match="no file 'x' is registered; there are x/y"):
        files.remove("x")
    files.remove("x/y")
    assert files.find("x/y") is None


def test_a_damaged_declaration_can_be_removed(files: Registrations[VectorFile]) -> None:
    files.store.put_if_absent(f"{files.folder}bad.json", b"{}")
    with pytest.raises(StoreError, match=r"bad.json is not a declaration of a file"):
        files.all()
    files.remove("bad")
    assert not files.all()


def test_a_table_is_checked_against_its_name(object_store: ObjectStore, store_prefix: str) -> None:
    rows = pa.table({"a": [1, 2]})
    key = put_table(object_store, f"{store_prefix}/tables/", rows)
    assert put_table(object_store, f"{store_prefix}/tables/", rows) == key
    assert get_table(object_store, key, "") == rows
    object_store.delete([key])
    object_store.put_if_absent(key, b"something else")
    with pytest.raises(StoreError, match="is damaged: .*; add it again"):
        get_table(object_store, key, "add it again")


def test_what_earlier_versions_registered_is_found(
    object_store: ObjectStore, store_prefix: str
) -> None:
    """As version 0.1 wrote it: fields in another order, those with default values left out."""
    space = {
        "id": "scgpt/human", "table_sha256": "ab", "dimensions": 2, "genes": 2,
        "outcomes": {"exact": 2}, "superseded": 0, "longest": 5.0, "shortest": 2.0,
        "file": "a.npz", "file_sha256": "cd", "reference_release": "hgnc", "citation": "somebody",
        "registered": "2025-01-02T03:04:05Z",
    }  # fmt: skip
    vectors = {
        "space": "scgpt/human", "collection": "mine", "table_sha256": "ab", "dimensions": 2,
        "n_vectors": 3, "shortest": 2.0, "longest": 5.0, "file": "a.npz", "file_sha256": "cd",
        "licence": "CC0", "redistributable": True, "citation": "somebody",
        "registered": "2025-01-02T03:04:05Z",
    }  # fmt: skip
    for key, stored in (
        ("declarations/scgpt/human", space),
        ("outside/mine/scgpt/human", vectors),
    ):
        object_store.put_if_absent(
            f"{store_prefix}/spaces/{key}.json", json.dumps(stored, indent=1).encode()
        )
    (declared,) = registered_spaces(object_store, store_prefix).all()
    assert (declared.space.table, declared.licence) == ("ab", "not stated")
    registered = registered_vectors(object_store, store_prefix).find("mine/scgpt/human")
    assert registered is not None
    assert (registered.n_vectors, registered.licence) == (3, "CC0")


def added() -> UserCollection:
    catalogue = load_catalogue()
    collection = next(iter(catalogue.collections.values()))
    sources = tuple(catalogue.source(name) for name in collection.sources)
    return UserCollection(collection=collection, sources=sources, added=datetime.now(UTC))


def test_fields_of_a_later_version_are_ignored_at_every_depth(
    object_store: ObjectStore, store_prefix: str
) -> None:
    declared = added()
    collections = Registrations(object_store, f"{store_prefix}/", UserCollection, "collection")
    collections.add("one", declared)
    later = json.loads(object_store.get(f"{store_prefix}/one.json"))
    later["mood"] = later["collection"]["mood"] = later["sources"][0]["mood"] = "calm"
    object_store.put_if_absent(f"{store_prefix}/other.json", json.dumps(later).encode())
    assert collections.find("other") == declared
    later["collection"]["options"]["mood"] = "calm"
    object_store.put_if_absent(f"{store_prefix}/refused.json", json.dumps(later).encode())
    with pytest.raises(StoreError, match=r"refused.json is not a declaration .* \(1 errors"):
        collections.find("refused")
