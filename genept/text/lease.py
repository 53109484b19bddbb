"""One payer at a time: a lease on an object of the store, renewed while its holder lives.

Two runs that embed the same texts at once would pay twice, and could exceed a budget between
them. Who holds the lease pays; the other waits, and then finds what it needs in the cache.

Limits: clocks of different machines must agree to within `SPARE`; a holder that is suspended
for longer than the lease may come back to find another one paying, and what it had asked for
before is then paid for twice.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Final

import psutil

from genept.store.errors import ConflictError, MissingObjectError, StoreError
from genept.store.s3 import ObjectStore
from genept.text.embedder import RefusedEmbeddingError

SECONDS: Final = 90.0
SPARE: Final = 15.0
"""Before its end the holder stops believing in its own lease."""

POLL: Final = 0.5


class Lease:
    """The right to pay. Use it as a context: it is renewed until its end."""

    def __init__(
        self,
        store: ObjectStore,
        key: str,
        waiting: Callable[[str], None] = lambda _: None,
        seconds: float = SECONDS,
    ) -> None:
        self.store, self.key, self.waiting, self.seconds = store, key, waiting, seconds
        self._holder: dict[str, Any] = {
            "holder": secrets.token_hex(8),
            "machine": _machine(),
            "pid": os.getpid(),
            "started": psutil.Process().create_time(),
        }
        self._until = 0.0
        self._etag = ""
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def __enter__(self) -> Lease:
        told = False
        while not self._take():
            if not told:
                self.waiting(f"another run is paying for texts ({self.store.uri(self.key)})")
                told = True
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

    def confirm(self) -> None:
        """Raise unless the lease is still held, with time to spare."""
        if time.time() > self._until - SPARE * self.seconds / SECONDS:
            raise RefusedEmbeddingError(
                "this run was suspended, or cut off from the store, for so long that another one "
                "may be paying by now; nothing more was asked for: run again"
            )

    def _take(self) -> bool:
        try:
            body, etag = self.store.get_with_etag(self.key)
        except MissingObjectError:
            return self._try("")
        return self._is_free(json.loads(body)) and self._try(etag)

    def _try(self, etag: str) -> bool:
        try:
            self._write(time.time() + self.seconds, etag)
        except ConflictError:
            return False
        return True

    def _is_free(self, held: dict[str, Any]) -> bool:
        if held["until"] < time.time():
            return True
        if held["machine"] != self._holder["machine"]:
            return False
        try:  # a killed holder on this machine need not be waited for
            return bool(psutil.Process(held["pid"]).create_time() != held["started"])
        except psutil.NoSuchProcess:
            return True

    def _renew(self) -> None:
        while not self._ended.wait(self.seconds / 4):
            try:
                self._write(time.time() + self.seconds, self._etag)
            except ConflictError:
                self._until = 0.0
                return
            except StoreError:
                continue  # out of reach for a moment: `confirm` says when it was too long

    def _write(self, until: float, etag: str) -> None:
        nonce = {"until": until, "nonce": secrets.token_hex(8)}
        body = json.dumps(self._holder | nonce, sort_keys=True).encode()
        with self._lock:
            self._etag = self.store.put_if_match(self.key, body, etag or None)
            self._until = until


def _machine() -> str:
    """This machine, or this container."""
    return f"{socket.gethostname()}/{uuid.getnode():x}"
