"""The object store that the settings name, and whether it keeps what the platform builds on.

A given endpoint, or the embedded server; conditional writes and true lists are tried once.
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
from typing import Final

from botocore.exceptions import ClientError

from genept.common.errors import (
    StoreError,
    UnreachableStoreError,
    error_code,
    explained,
    http_status,
)
from genept.common.private_files import private_folder, write_privately
from genept.common.settings import Settings
from genept.storage import requests
from genept.storage.access import Role
from genept.storage.object_store import ObjectStore

WRITERS: Final = 8

ATTEMPTS: Final = 3
"""Races that are run until somebody wins one: a store may refuse everybody with 409."""


REMEMBERED: Final = timedelta(days=1)

NOT_A_HASH: Final = '"00000000000000000000000000000000"'


@dataclass(frozen=True)
class Property:
    """Something that a store must do, whether it does, and what it did instead."""

    name: str
    holds: bool
    seen: str = ""


def properties(store: ObjectStore, product: str) -> list[Property]:
    """Ask the store for every property, under keys of its own that are deleted afterwards.

    Parameters
    ----------
    store
        With keys that may write and delete below `{product}/probe/`.
    product
        Whose objects are probed beside.

    Returns
    -------
    list of Property
        In the order in which they were asked for.

    Raises
    ------
    StoreError
        The store is out of reach, or refuses these keys.
    """
    place = f"{product}/probe/{secrets.token_hex(8)}"
    try:
        return [
            Property(name, not seen, seen)
            for number, (name, ask) in enumerate(_QUESTIONS.items())
            for seen in [_answer(ask, store, f"{place}/{number}")]
        ]
    finally:
        # Not by a list: whether it is complete is one of the questions.
        store.delete(key for number in range(len(_QUESTIONS)) for key in _keys(f"{place}/{number}"))


def _keys(place: str) -> list[str]:
    """Every key that a question writes to."""
    return [place, *(f"{place}/{number}" for number in range(ATTEMPTS))]


def require(store: ObjectStore, product: str, remembered: Path) -> None:
    """Refuse a store that lacks a property; what held is not asked for again for a day.

    Parameters
    ----------
    store, product
        As for `properties`.
    remembered
        File of this machine that says which stores were found to be good, and when.

    Raises
    ------
    StoreError
        What the store does not do, and what to use instead.
    """
    known = _recall(remembered)
    access, now = store.access, datetime.now(UTC)
    name = hashlib.sha256(
        json.dumps([access.endpoint_url, store.bucket, access.access_key, product]).encode()
    ).hexdigest()
    if timedelta() <= now - known.get(name, datetime.min.replace(tzinfo=UTC)) < REMEMBERED:
        return
    try:
        lacking = [asked for asked in properties(store, product) if not asked.holds]
    except UnreachableStoreError:
        return  # whoever wants something of it is told so, or reads a copy
    if lacking:
        raise StoreError(
            f"{store.where} cannot be written to safely: "
            + "; ".join(f"{asked.name}: no, {asked.seen}" for asked in lacking)
            + ". Two runs could publish over each other there. Use a store with conditional writes "
            "(AWS S3, a current MinIO, SeaweedFS from 4.48 on) or, without GENEPT_S3_ENDPOINT, the "
            "embedded one; `genept store check` asks again"
        )
    with suppress(OSError):  # where nothing can be written, it is asked again
        private_folder(remembered.parent)
        content = {key: at.isoformat() for key, at in {**known, name: now}.items()}
        write_privately(remembered, json.dumps(content).encode())


def _recall(remembered: Path) -> dict[str, datetime]:
    try:
        content = json.loads(remembered.read_bytes())
        return {str(name): datetime.fromisoformat(at) for name, at in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


Ask = Callable[[ObjectStore, str], str]
"""What was seen instead; empty when the property holds."""


def _answer(ask: Ask, store: ObjectStore, key: str) -> str:
    with explained("asking for conditional writes", store.where):
        try:
            return ask(store, key)
        except ClientError as error:
            if http_status(error) not in {400, 405, 501}:
                raise
            return f"the request is not understood ({error_code(error) or http_status(error)})"


def _written(store: ObjectStore, key: str, body: bytes, etag: str | None) -> str:
    """The ETag of what was written on the condition; empty when it was refused."""
    sha256 = hashlib.sha256(body).hexdigest()
    try:
        return requests.put(store.client, store.bucket, key, body, sha256=sha256, etag=etag)
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
    def prepared() -> Iterator[tuple[str, str]]:
        for place in _keys(key)[1:]:
            yield place, _written(store, place, b"first", None)

    return _one_wins(store, prepared())


def _one_wins(store: ObjectStore, races: Iterator[tuple[str, str | None]]) -> str:
    """Let writers write at the same moment on the same condition, until one of them wins."""
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
            return f"{won.count(True)} of {WRITERS} writers were told that they wrote"
        if won.count(True) == 1:
            stored = store.get(key)
            return "" if stored == str(won.index(True)).encode() else "another writer's is stored"
    return f"none of {WRITERS} writers ever wrote"


def _lists_what_is_there(store: ObjectStore, key: str) -> str:
    _written(store, key, b"listed", None)
    if [info.key for info in store.list(key)] != [key]:
        return "a list lacks what was just written"
    store.delete([key])
    if list(store.list(key)) or store.exists(key):
        return "what was just deleted is still there"
    return ""


_QUESTIONS: Final[dict[str, Ask]] = {
    "creates only where nothing is (If-None-Match)": _refuses_to_create_twice,
    "replaces only what has the given ETag (If-Match)": _swaps_on_condition,
    f"of {WRITERS} who create at once, one succeeds": _one_creates,
    f"of {WRITERS} who replace at once, one succeeds": _one_swaps,
    "lists what was just written, and not what was just deleted": _lists_what_is_there,
}


WRITING: Final[tuple[Role, ...]] = ("writer", "publisher")


def open_store(settings: Settings, role: Role, *, asked: bool = True) -> ObjectStore:
    """The bucket of this installation; starts the embedded server when it is needed and not up.

    Parameters
    ----------
    role
        What the caller needs to do: the embedded server lets it do no more. Elsewhere the keys
        of the settings decide, whoever's they are.
    asked
        Whether another store than the embedded one is asked for conditional writes before it is
        written to; once a day.

    Raises
    ------
    StoreError
        The embedded server does not start, or the store lacks what publishing needs.
    """
    if settings.s3_endpoint is None:
        try:
            from genept.storage.embedded.store import EmbeddedStore
        except ModuleNotFoundError as error:  # an installation that only reads
            raise StoreError(
                "no store is named: set GENEPT_S3_ENDPOINT to where the releases are, or install "
                f"the embedded one with pip install 'genept-platform[platform]' ({error})"
            ) from None
        embedded = EmbeddedStore(settings.private_state() / "store", bucket=settings.bucket)
        endpoint = embedded.ensure()
        keys = endpoint.keys(role)
        return ObjectStore(
            endpoint.url,
            keys.access_key,
            keys.secret_key,
            settings.s3_region,
            settings.bucket,
            flush=embedded.flush,
        )
    secret = settings.s3_secret_key
    store = ObjectStore(
        settings.s3_endpoint,
        settings.s3_access_key,
        secret.get_secret_value() if secret else None,
        settings.s3_region,
        settings.bucket,
    )
    if asked and role in WRITING:
        require(store, settings.product, settings.state / "cache" / "store_properties.json")
    return store
