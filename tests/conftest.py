"""The real object store that tests run against: one embedded server for the whole session."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from genept.store.embedded import REGION, EmbeddedStore
from genept.store.s3 import ObjectStore


@pytest.fixture(scope="session")
def embedded_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """A running server of the session's own."""
    store = EmbeddedStore(tmp_path_factory.mktemp("state") / "store")
    store.start()
    yield store
    store.stop()


@pytest.fixture(scope="session")
def object_store(embedded_store: EmbeddedStore) -> Iterator[ObjectStore]:
    """The bucket of the session's server."""
    endpoint = embedded_store.ensure()
    with ObjectStore(
        endpoint.url, endpoint.access_key, endpoint.secret_key, REGION, embedded_store.bucket
    ) as store:
        yield store


@pytest.fixture
def store_prefix(request: pytest.FixtureRequest) -> str:
    """A prefix of keys that no other test uses, without a slash at its end."""
    return f"tests/{request.node.originalname}-{secrets.token_hex(4)}"
