"""Opening the object store of the settings: a given endpoint, or the embedded server.

A given store is tested for conditional writes and consistent listings before it is written to.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from genept.common import (
    Settings,
    StoreError,
    UnreachableStoreError,
    private_folder,
    write_privately,
)
from genept.storage.bucket import Role
from genept.storage.object_store import ObjectStore
from genept.storage.requests import error_code, explained, http_status, put

if TYPE_CHECKING:
    from genept.storage.embedded_store import EmbeddedStore

WRITERS: Final = 8
ATTEMPTS: Final = 3
"""Attempts until a writer succeeds: a store may answer 409 to all concurrent writers."""

REMEMBERED: Final = timedelta(days=1)
NOT_A_HASH: Final = '"00000000000000000000000000000000"'


@dataclass(frozen=True)
class StoreProperty:
    """A property that a store must have.

    Parameters
    ----------
    name, holds, seen
        What it is, whether the store has it, and what was observed instead; empty if it has.
    """

    name: str
    holds: bool
    seen: str = ""


def properties(store: ObjectStore, product: str) -> list[StoreProperty]:
    """Test the store for every required property, with objects that are deleted afterwards.

    Parameters
    ----------
    store
        Opened with keys that may write and delete below `{product}/probe/`.
    product
        First segment of the keys that are written.

    Returns
    -------
    list of StoreProperty
        One for each property, in the order of the tests.

    Raises
    ------
    StoreError
        The store cannot be reached, or refuses the keys.
    """
    place = f"{product}/probe/{secrets.token_hex(8)}"
    try:
        results = {
            name: _result(test, store, f"{place}/{number}")
            for number, (name, test) in enumerate(_TESTS.items())
        }
        return [StoreProperty(name, not seen, seen) for name, seen in results.items()]
    finally:
        # Not from a listing: whether listings are complete is one of the properties.
        store.delete(key for number in range(len(_TESTS)) for key in _keys(f"{place}/{number}"))


def _keys(place: str) -> list[str]:
    """Every key that a test writes to."""
    return [place, *(f"{place}/{number}" for number in range(ATTEMPTS))]


def require(store: ObjectStore, product: str, remembered: Path) -> None:
    """Refuse a store that lacks a property; a successful test is valid for a day.

    Parameters
    ----------
    store, product
        As for `properties`.
    remembered
        Local file with the time of the last successful test of each store.

    Raises
    ------
    StoreError
        The properties that the store lacks, and which stores have them.
    """
    known = _recall(remembered)
    access, now = store.access, datetime.now(UTC)
    name = hashlib.sha256(
        json.dumps([access.endpoint_url, store.bucket, access.access_key, product]).encode()
    ).hexdigest()
    if timedelta() <= now - known.get(name, datetime.min.replace(tzinfo=UTC)) < REMEMBERED:
        return
    try:
        lacking = [missing for missing in properties(store, product) if not missing.holds]
    except UnreachableStoreError:
        return  # the next request reports it; reads may be served from a local copy
    if lacking:
        raise StoreError(
            f"{store.where} cannot be written to safely: "
            + "; ".join(f"{missing.name}: no, {missing.seen}" for missing in lacking)
            + ". Two runs could publish over each other there. Use a store with conditional writes "
            "(AWS S3, a current MinIO, SeaweedFS from 4.48 on) or, without GENEPT_S3_ENDPOINT, the "
            "embedded one; `genept store check` tests it again"
        )
    with suppress(OSError):  # if the file cannot be written, the next process tests again
        private_folder(remembered.parent)
        content = {key: at.isoformat() for key, at in {**known, name: now}.items()}
        write_privately(remembered, json.dumps(content).encode())


def _recall(remembered: Path) -> dict[str, datetime]:
    try:
        content = json.loads(remembered.read_bytes())
        return {str(name): datetime.fromisoformat(at) for name, at in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


Test = Callable[[ObjectStore, str], str]
"""Returns what was observed instead; empty if the property holds."""


def _result(test: Test, store: ObjectStore, key: str) -> str:
    with explained("testing conditional writes", store.where):
        try:
            return test(store, key)
        except ClientError as error:
            if http_status(error) not in {400, 405, 501}:
                raise
            return f"the request is not understood ({error_code(error) or http_status(error)})"


def _written(store: ObjectStore, key: str, body: bytes, etag: str | None) -> str:
    """The ETag of what was written under the condition; empty if the write was refused."""
    sha256 = hashlib.sha256(body).hexdigest()
    try:
        return put(store.client, store.bucket, key, body, sha256=sha256, etag=etag)
    except ClientError as error:
        if http_status(error) not in {404, 409, 412}:
            raise
        return ""


def _refuses_to_create_twice(store: ObjectStore, key: str) -> str:
    if not _written(store, key, b"first", None):
        return "it refused a free key"
    if _written(store, key, b"second", None) or store.get(key) != b"first":
        return "it wrote over an existing object"
    return ""


def _swaps_on_condition(store: ObjectStore, key: str) -> str:
    first = _written(store, key, b"first", None)
    if _written(store, key, b"wrong", NOT_A_HASH) or store.get(key) != b"first":
        return "it wrote over an object that has another ETag"
    second = _written(store, key, b"second", first)
    if not second or store.get(key) != b"second":
        return "it refused the right ETag"
    if _written(store, key, b"late", first) or store.get(key) != b"second":
        return "it took the ETag of an earlier version"
    return ""


def _one_creates(store: ObjectStore, key: str) -> str:
    return _one_wins(store, ((place, None) for place in _keys(key)[1:]))


def _one_swaps(store: ObjectStore, key: str) -> str:
    places = _keys(key)[1:]
    return _one_wins(store, ((place, _written(store, place, b"first", None)) for place in places))


def _one_wins(store: ObjectStore, races: Iterator[tuple[str, str | None]]) -> str:
    """Let several writers write at once under the same condition, until one succeeds."""
    for key, etag in races:
        start = Barrier(WRITERS)

        def write(
            number: int, key: str = key, etag: str | None = etag, start: Barrier = start
        ) -> bool:
            start.wait(timeout=60)
            return bool(_written(store, key, str(number).encode(), etag))

        with ThreadPoolExecutor(WRITERS) as pool:
            won = list(pool.map(write, range(WRITERS)))
        if won.count(True) > 1:
            return f"{won.count(True)} of {WRITERS} writers were acknowledged"
        if any(won):
            is_stored = store.get(key) == str(won.index(True)).encode()
            return "" if is_stored else "another writer's object is stored"
    return f"none of {WRITERS} writers ever wrote"


def _lists_what_is_there(store: ObjectStore, key: str) -> str:
    _written(store, key, b"listed", None)
    if [info.key for info in store.list(key)] != [key]:
        return "a list lacks what was just written"
    store.delete([key])
    if list(store.list(key)) or store.exists(key):
        return "what was just deleted is still there"
    return ""


_TESTS: Final[dict[str, Test]] = {
    "creates only where nothing is (If-None-Match)": _refuses_to_create_twice,
    "replaces only what has the given ETag (If-Match)": _swaps_on_condition,
    f"of {WRITERS} who create at once, one succeeds": _one_creates,
    f"of {WRITERS} who replace at once, one succeeds": _one_swaps,
    "lists what was just written, and not what was just deleted": _lists_what_is_there,
}

WRITING: Final[tuple[Role, ...]] = ("writer", "publisher")


def open_store(settings: Settings, role: Role, *, tested: bool = True) -> ObjectStore:
    """Open the bucket of this installation; starts the embedded server if it is not running.

    Only a writer gets a new store: without one there is nothing to read, publish or delete.

    Parameters
    ----------
    settings
        Name the endpoint, bucket, keys and state folder.
    role
        Role whose keys the embedded server is used with. For another store, the keys of the
        settings are used.
    tested
        Whether a store other than the embedded one is tested for conditional writes first, once
        a day, if the role writes.

    Returns
    -------
    ObjectStore
        The bucket, not connected yet.

    Raises
    ------
    StoreError
        The embedded server does not start, or the store lacks a required property, or there is
        no embedded store and the role is not that of a writer.
    """
    if settings.s3_unsigned and role != "reader":
        raise StoreError(
            "GENEPT_S3_UNSIGNED reads what is public, and writes nothing: unset it, and set "
            "GENEPT_S3_ACCESS_KEY and GENEPT_S3_SECRET_KEY"
        )
    if settings.s3_endpoint is None and not settings.s3_unsigned:
        embedded = find_embedded_store(settings, is_new_allowed=role == "writer")
        endpoint = embedded.ensure()
        keys = endpoint.keys(role)
        place = endpoint.url, keys.access_key, keys.secret_key, settings.s3_region, settings.bucket
        return ObjectStore(*place, flush=embedded.flush)
    secret = settings.s3_secret_key.get_secret_value() if settings.s3_secret_key else None
    given = settings.s3_endpoint, settings.s3_access_key, secret
    store = ObjectStore(*given, settings.s3_region, settings.bucket, unsigned=settings.s3_unsigned)
    if tested and role in WRITING:
        require(store, settings.product, settings.state / "cache" / "store_properties.json")
    return store


def find_embedded_store(settings: Settings, *, is_new_allowed: bool = True) -> EmbeddedStore:
    """The embedded store; `StoreError` if it is not installed, or would be new and may not."""
    try:
        from genept.storage.embedded_store import EmbeddedStore
    except ModuleNotFoundError as error:  # an installation that only reads
        raise StoreError(
            "no object store is configured: set GENEPT_S3_ENDPOINT to its address, or install "
            f"the embedded one with pip install 'genept-platform[platform]' ({error})"
        ) from None
    if not is_new_allowed and not (settings.state / "store" / "data").is_dir():
        raise StoreError(
            f"there is no installation here (no store below {settings.state}): run `genept run` "
            "first, or go to the folder of one"
        )
    return EmbeddedStore(settings.private_state() / "store", bucket=settings.bucket)
