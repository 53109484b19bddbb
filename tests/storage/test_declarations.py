"""Declarations in the store: what a later version adds is ignored, what is damaged is named."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from genept.collections.user_collections import UserCollection
from genept.common.errors import StoreError
from genept.datasources.catalogue import load_catalogue
from genept.storage.documents import declare, read_declaration
from genept.storage.object_store import ObjectStore


def added() -> UserCollection:
    catalogue = load_catalogue()
    collection = next(iter(catalogue.collections.values()))
    sources = tuple(catalogue.source(name) for name in collection.sources)
    return UserCollection(collection=collection, sources=sources, added=datetime.now(UTC))


def test_fields_of_a_later_version_are_ignored_at_every_depth(
    object_store: ObjectStore, store_prefix: str
) -> None:
    key, declared = f"{store_prefix}/one.json", added()
    declare(object_store, key, declared)
    later = json.loads(object_store.get(key))
    later["mood"] = later["collection"]["mood"] = later["sources"][0]["mood"] = "calm"
    other = f"{store_prefix}/other.json"
    object_store.put_if_absent(other, json.dumps(later).encode())
    assert read_declaration(object_store, other, UserCollection, "collection") == declared
    later["collection"]["options"]["mood"] = "calm"
    refused = f"{store_prefix}/refused.json"
    object_store.put_if_absent(refused, json.dumps(later).encode())
    with pytest.raises(StoreError, match=r"refused.json is not a declaration .* \(1 errors"):
        read_declaration(object_store, refused, UserCollection, "collection")
