"""The list of garbage: keys that may be deleted after a grace period, and since when.

A builder removes a key from the list before it uses the object again, a collector before it deletes
the object, each by compare-and-swap; so no object in use is deleted. What is garbage is decided in
`genept.release.garbage`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Final

from pydantic import Field
from tenacity import retry_if_exception_type

from genept.common import ConflictError, StoreError
from genept.storage.documents import Document, SwappedDocument
from genept.storage.object_store import ObjectStore
from genept.storage.requests import repeated

BELIEVED: Final = timedelta(seconds=60)
"""How long a builder uses its copy of the list. Keys listed more recently are never deleted."""

PATIENCE: Final = 20
"""How many times a builder checks, at growing intervals, whether a deletion has ended."""


class Marks(Document):
    """Content of the list.

    Parameters
    ----------
    marked
        Keys of garbage, by the time at which they were listed (ISO 8601, by the store's clock).
    deleting
        Keys of the lake that a collector is deleting now.
    doomed
        Releases whose deletion has begun: they cannot become current again.
    """

    format: int = 1
    nonce: str = ""
    marked: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    deleting: tuple[str, ...] = ()
    doomed: tuple[str, ...] = ()

    @property
    def since(self) -> dict[str, datetime]:
        """Time at which each key was listed."""
        return {
            key: datetime.fromisoformat(moment)
            for moment, keys in self.marked.items()
            for key in keys
        }

    @property
    def listed(self) -> set[str]:
        """All keys that are listed or being deleted."""
        return {key for keys in self.marked.values() for key in keys} | set(self.deleting)

    def with_marked(self, since: Mapping[str, datetime]) -> Marks:
        """Return a copy with exactly these keys listed."""
        pairs = sorted((moment.isoformat(), key) for key, moment in since.items())
        by_moment = groupby(pairs, key=itemgetter(0))
        marked = {moment: tuple(key for _, key in group) for moment, group in by_moment}
        return self.model_copy(update={"marked": marked})

    def without(self, keys: Collection[str]) -> Marks:
        """Return a copy without these keys."""
        kept = {key: moment for key, moment in self.since.items() if key not in keys}
        deleting = tuple(key for key in self.deleting if key not in keys)
        return self.with_marked(kept).model_copy(update={"deleting": deleting})

    def with_deleting(self, keys: Collection[str]) -> Marks:
        """Return a copy in which those of these keys that are listed are being deleted."""
        since = self.since
        deleting = tuple(sorted(key for key in keys if key in since))
        kept = {key: moment for key, moment in since.items() if key not in set(deleting)}
        return self.with_marked(kept).model_copy(update={"deleting": deleting})

    def with_doomed(self, releases: Collection[str]) -> Marks:
        """Return a copy with exactly these releases being deleted."""
        return self.model_copy(update={"doomed": tuple(sorted(releases))})


class _BusyError(StoreError):
    """A collector is deleting an object that is needed."""


class MarkList:
    """`gc/marks.json` of a product, replaced by compare-and-swap.

    Parameters
    ----------
    store
        The bucket, with keys that may write the list.
    product
        First segment of every key.
    """

    def __init__(self, store: ObjectStore, product: str) -> None:
        self.store, self.key = store, f"{product}/gc/marks.json"
        self._document = SwappedDocument(store, self.key, Marks)
        self._listed: tuple[datetime, set[str]] | None = None

    def read(self) -> Marks:
        """Read the list."""
        return self._read()[0]

    @repeated(retry_if_exception_type(ConflictError), attempts=8, seconds=0.05, at_most=1)
    def change(self, change: Callable[[Marks], Marks]) -> Marks:
        """Replace the list by a function of its present content.

        Parameters
        ----------
        change
            Computes the new content; called again if another process replaced the list.

        Returns
        -------
        Marks
            The content after the change.

        Raises
        ------
        ConflictError
            Other processes replaced the list at each of eight attempts.
        """
        before, etag = self._read()
        after = change(before)
        if after != before:
            after, _ = self._document.swap(after, etag)
        return after

    def touch(self) -> datetime:
        """Return the present time by the store's clock."""
        self.change(lambda marks: marks.model_copy(update={"nonce": secrets.token_hex(8)}))
        info = self.store.head(self.key)
        if info is None:
            raise StoreError(f"{self.store.uri(self.key)} was deleted while it was used: run again")
        return info.last_modified

    def keep(self, keys: Collection[str]) -> bool:
        """Remove keys from the list because their objects are used again.

        Waits while a collector deletes one of the keys, for a limited time in case it was killed.

        Parameters
        ----------
        keys
            Keys of the objects that are used.

        Returns
        -------
        bool
            Whether one of the keys was listed. Its object may be deleted then: check again.
        """
        wanted = set(keys)
        now = datetime.now(UTC)
        if self._listed is None or not timedelta() <= now - self._listed[0] < BELIEVED:
            self._listed = now, self.read().listed
        if not wanted & self._listed[1]:
            return False
        self._listed = None
        with suppress(_BusyError):  # the collector was killed, or will find its claim taken
            self._wait_for(wanted)
        self.change(lambda marks: marks.without(wanted) if wanted & marks.listed else marks)
        return True

    @repeated(retry_if_exception_type(_BusyError), attempts=PATIENCE, seconds=0.1, at_most=2)
    def _wait_for(self, wanted: set[str]) -> None:
        if wanted & set(self.read().deleting):
            raise _BusyError("the object is being deleted")

    def _read(self) -> tuple[Marks, str | None]:
        marks, etag = self._document.read()
        return marks or Marks(), etag
