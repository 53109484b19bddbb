"""Fixtures of all tests: a real object store, a lake in it, the pinned archives."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import psutil
import pytest
from hypothesis import settings

from genept.datasources.catalogue import load_catalogue
from genept.datasources.download.archives import Archives
from genept.nomenclature.reference import starter_reference
from genept.storage import embedded_server as server
from genept.storage.embedded_store import REGION, EmbeddedStore
from genept.storage.lake import Lake
from genept.storage.object_store import ObjectStore

settings.register_profile("genept", deadline=None)  # a busy machine is no bug
settings.load_profile("genept")


LONGEST = (
    "test_notebooks",
    *("test_release_job", "test_hosted_embedding", "test_pending_batches", "test_partitions"),
    "test_complete_chats",
    *("test_dask", "test_simulation_seeds", "test_nightly", "test_held", "test_commands"),
)
"""Modules whose tests take half a minute or more, in this order."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest modules first, so that two processes end at about the same time."""
    order = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


@pytest.fixture(scope="session", autouse=True)
def no_server_outlives_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """End the stores that platforms of single tests started below the session's own folder."""
    yield
    folder = str(tmp_path_factory.getbasetemp())
    for process in psutil.process_iter(["name", "cmdline"]):
        arguments = process.info["cmdline"] or []
        if process.info["name"] == "weed" and any(folder in argument for argument in arguments):
            server.end(process, 10.0)


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


@pytest.fixture
def lake(object_store: ObjectStore, store_prefix: str, tmp_path: Path) -> Lake:
    """A lake of the test's own in the session's store."""
    return Lake(object_store, store_prefix, tmp_path / "parts")


@pytest.fixture(scope="session")
def planted_lake(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake for candidates, which tests only publish, each under a product of its own."""
    product = f"tests/planted-{secrets.token_hex(4)}"
    return Lake(object_store, product, tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="session")
def real_archives() -> Archives:
    """The pinned archives, downloaded once into the project's cache; for `index` tests only."""
    return Archives(load_catalogue(), Path(__file__).parents[1] / ".genept" / "cache" / "archives")


@pytest.fixture(scope="session")
def real_reference(real_archives: Archives) -> pl.DataFrame:
    """The gene reference of the pinned archives; for `index` tests only."""
    return starter_reference(real_archives).genes
