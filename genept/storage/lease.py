"""A lease: the exclusive right to do something, held in the bucket and renewed until it is left.

It survives no holder: who is gone, suspended or cut off from the store loses it. What it is for is
decided where it is taken.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable
from typing import Final

from genept.common import ConflictError, StoreError, is_running, machine, started, uptime
from genept.storage.documents import Document, SwappedDocument
from genept.storage.object_store import ObjectStore

SECONDS: Final = 90.0

SPARE: Final = 15.0
"""Before its end the holder stops believing in its own lease, and others wait for longer."""

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

    @classmethod
    def here(cls, seconds: float) -> Holder:
        """This process."""
        pid = os.getpid()
        return cls(
            holder=secrets.token_hex(8),
            machine=machine(),
            pid=pid,
            started=started(pid),
            seconds=seconds,
        )


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
        self.holder = Holder.here(seconds)
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
