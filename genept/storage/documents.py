"""JSON documents in the bucket, rewritten by compare-and-swap; and a lease, which is one of them.

A lease is the exclusive right to do something: held in the bucket, renewed until it is left, and
lost by a holder that is gone, suspended or cut off from the store. What the documents mean, and
what a lease is for, is decided where they are used. Documents that are written once are in
`genept.storage.registrations`.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from typing import Final, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from genept.common import (
    ConflictError,
    MissingObjectError,
    StoreError,
    is_running,
    machine,
    started,
    uptime,
)
from genept.storage.object_store import ObjectStore

FORMAT: Final = 1
"""Format of pointers and manifests. It is raised when older versions, which ignore unknown fields,
would misread a document."""


class Document(BaseModel):
    """A JSON document in the store.

    Fields that this version does not know, such as those of a later version, are ignored, and
    kept when the document is written again.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    def body(self) -> bytes:
        """Return the document as it is stored: JSON in UTF-8."""
        return self.model_dump_json(indent=1).encode()

    @classmethod
    def parse(cls, body: bytes, address: str) -> Self:
        """Parse the stored bytes of a document; `address` is for the error.

        Raises `StoreError` if it is damaged, or has a later format than this version reads.
        """
        if (stored := _format(body)) > FORMAT:
            raise StoreError(
                f"{address} has format {stored}, and this version reads format {FORMAT}: upgrade "
                "with pip install --upgrade genept-platform"
            )
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            raise StoreError(
                f"{address} is not a {cls.__name__.lower()} that this version reads: {error}"
            ) from error

    @property
    def stored_sha256(self) -> str:
        """SHA-256 of the stored bytes."""
        return hashlib.sha256(self.body()).hexdigest()


def _format(body: bytes) -> int:
    """The format that a document states; that of this version if it states none."""
    try:
        stored = json.loads(body)["format"]
    except (ValueError, TypeError, KeyError):
        return FORMAT
    return stored if isinstance(stored, int) else FORMAT


Swapped = TypeVar("Swapped", bound=Document)


class SwappedDocument(Generic[Swapped]):
    """The document under one key, which is only ever replaced by compare-and-swap.

    Parameters
    ----------
    store
        The bucket, with keys that may write if `swap` is called.
    key
        Key of the document.
    kind
        Its class. A field `nonce` of type ``str`` is required: see `swap`.
    """

    def __init__(self, store: ObjectStore, key: str, kind: type[Swapped]) -> None:
        self.store, self.key, self.kind = store, key, kind

    def read(self) -> tuple[Swapped | None, str | None]:
        """Read the document and its ETag, the condition of the next `swap`; both None if absent.

        Raises `StoreError` if it is damaged, or has a later format than this version reads.
        """
        try:
            body, etag = self.store.get_with_etag(self.key)
        except MissingObjectError:
            return None, None
        return self.kind.parse(body, self.store.uri(self.key)), etag

    def swap(self, document: Swapped, etag: str | None) -> tuple[Swapped, str]:
        """Replace the document that has `etag`, or create it where `etag` is None.

        Each replacement gets a new nonce. No two writers ever write equal bytes, so that a writer
        whose answer was lost recognises its own document when it reads it back. Returns document
        and ETag as they are stored now.

        Raises `ConflictError` if another writer replaced the document since `etag` was read.
        """
        replacement = document.model_copy(update={"nonce": secrets.token_hex(8)})
        return replacement, self.store.put_if_match(self.key, replacement.body(), etag)


SECONDS: Final = 90.0

SPARE: Final = 15.0
"""Seconds before its end from which the holder takes its lease for lost; others wait as long after
its end."""

POLL: Final = 0.5


class Holder(Document):
    """Who holds a lease, and for how long.

    Parameters
    ----------
    holder
        Drawn at random.
    machine, pid, started
        The process.
    seconds
        How long the lease lasts after a renewal.
    until
        Its end by the clock, for people and earlier versions; 0 once it is released.
    uptime
        Its end by the time since the machine was started; None from earlier versions.
    """

    holder: str
    machine: str
    pid: int
    started: float
    seconds: float = SECONDS
    until: float = 0.0
    uptime: float | None = None
    nonce: str = ""


class Lease:
    """A lease, as a context in which it is renewed until it is left.

    Parameters
    ----------
    store, key
        The object that holds the lease.
    what
        What the holder is doing, such as ``paying for texts``.
    waiting
        Called once with the reason if another run holds it.
    seconds
        How long the lease lasts after its last renewal.
    """

    def __init__(
        self,
        store: ObjectStore,
        key: str,
        what: str,
        waiting: Callable[[str], None] = lambda _: None,
        seconds: float = SECONDS,
    ) -> None:
        self.document = SwappedDocument(store, key, Holder)
        self.what, self.waiting, self.seconds = what, waiting, seconds
        self.holder = Holder(
            holder=secrets.token_hex(8),
            machine=machine(),
            pid=os.getpid(),
            started=started(os.getpid()),
            seconds=seconds,
        )
        self._until = 0.0
        self._etag: str | None = None
        self._seen: tuple[str | None, float] = (None, 0.0)
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def __enter__(self) -> Lease:
        announced = False
        while not self.take():
            if not announced:
                place = self.document.store.uri(self.document.key)
                self.waiting(f"another run is {self.what} ({place})")
                announced = True
            time.sleep(POLL)
        self._renewal = threading.Thread(target=self._renew, daemon=True)
        self._renewal.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._renewal.join()
        try:
            self._write(0.0, self._etag)
        except StoreError:
            return  # it was taken over, or it ends by itself

    @property
    def is_held(self) -> bool:
        """Whether it is surely still held, with time to spare."""
        return uptime() <= self._until - _spare(self.seconds)

    def take(self) -> bool:
        """Take the lease if it is free; return whether it is held now."""
        held, etag = self.document.read()
        if held is not None and not self._is_free(held, etag):
            return False
        try:
            self._write(self.seconds, etag)
        except ConflictError:
            return False
        return True

    def renew(self) -> None:
        """Hold it for `seconds` from now. Raises `ConflictError` if another run took it over."""
        self._write(self.seconds, self._etag)

    def _is_free(self, held: Holder, etag: str | None) -> bool:
        if held.until == 0.0:  # its holder let go of it
            return True
        if held.machine == machine():
            if not is_running(held.pid, held.started):
                return True  # a killed holder need not be waited for
            if held.uptime is not None:
                return uptime() > held.uptime
        if etag != self._seen[0]:
            self._seen = etag, uptime()
        return uptime() > self._seen[1] + held.seconds + _spare(held.seconds)

    def _renew(self) -> None:
        while not self._ended.wait(self.seconds / 4):
            try:
                self.renew()
            except ConflictError:
                self._until = 0.0
                return
            except StoreError:
                continue  # out of reach for a moment: `is_held` says when it was too long

    def _write(self, seconds: float, etag: str | None) -> None:
        """Hold the lease for so many seconds from now; 0 releases it."""
        until = uptime() + seconds if seconds else 0.0
        wall_clock = time.time() + seconds if seconds else 0.0
        held = self.holder.model_copy(update={"until": wall_clock, "uptime": until})
        with self._lock:
            _, self._etag = self.document.swap(held, etag)
            self._until = until


def _spare(seconds: float) -> float:
    return SPARE * seconds / SECONDS
