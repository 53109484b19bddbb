"""One payer at a time: a lease on an object of the store, renewed while its holder lives."""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from genept.common.errors import ConflictError, MissingObjectError, StoreError
from genept.common.processes import is_running, machine, started, uptime
from genept.storage.object_store import ObjectStore
from genept.text.embedders.embedder import RefusedEmbeddingError

SECONDS: Final = 90.0

SPARE: Final = 15.0
"""Before its end the holder stops believing in its own lease, and others wait for longer."""


POLL: Final = 0.5


class Lease:
    """The right to pay. Use it as a context: it is renewed until its end.

    Parameters
    ----------
    waiting
        Told once why this waits.
    seconds
        How long the lease holds after its last renewal.
    """

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
            "machine": machine(),
            "pid": os.getpid(),
            "started": started(os.getpid()),
            "seconds": seconds,
        }
        self._until = 0.0
        self._etag = ""
        self._seen = ("", 0.0)
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
        if uptime() > self._until - _spare(self.seconds):
            raise RefusedEmbeddingError(
                "this run was suspended, or cut off from the store, for so long that another one "
                "may be paying by now; nothing more was asked for: run again"
            )

    def _take(self) -> bool:
        try:
            body, etag = self.store.get_with_etag(self.key)
        except MissingObjectError:
            return self._try("")
        return self._is_free(json.loads(body), etag) and self._try(etag)

    def _try(self, etag: str) -> bool:
        try:
            self._write(self.seconds, etag)
        except ConflictError:
            return False
        return True

    def _is_free(self, held: dict[str, Any], etag: str) -> bool:
        if held["until"] == 0.0:  # its holder let go of it
            return True
        if held["machine"] == machine():
            if not is_running(held["pid"], held["started"]):
                return True  # a killed holder need not be waited for
            if "uptime" in held:
                return bool(uptime() > held["uptime"])
        if etag != self._seen[0]:
            self._seen = etag, uptime()
        seconds = float(held.get("seconds", SECONDS))
        return uptime() > self._seen[1] + seconds + _spare(seconds)

    def _renew(self) -> None:
        while not self._ended.wait(self.seconds / 4):
            try:
                self._write(self.seconds, self._etag)
            except ConflictError:
                self._until = 0.0
                return
            except StoreError:
                continue  # out of reach for a moment: `confirm` says when it was too long

    def _write(self, seconds: float, etag: str) -> None:
        """Hold the lease for so long from now on; 0 lets go of it.

        `until` is by the wall clock, for whoever looks, and for versions that compare it.
        """
        until = uptime() + seconds if seconds else 0.0
        times = {"until": time.time() + seconds if seconds else 0.0, "uptime": until}
        body = json.dumps(
            self._holder | times | {"nonce": secrets.token_hex(8)}, sort_keys=True
        ).encode()
        with self._lock:
            self._etag = self.store.put_if_match(self.key, body, etag or None)
            self._until = until


def _spare(seconds: float) -> float:
    return SPARE * seconds / SECONDS
