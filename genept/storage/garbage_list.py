"""The list of garbage: what may be deleted once it has been listed for a while, and since when.

Whoever uses something again takes it off the list, and a collector takes it off before it deletes,
each by compare-and-swap: so what is in use is not deleted. What is garbage is decided in
`genept.release.garbage`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import Field
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from genept.common.errors import ConflictError, StoreError
from genept.storage.documents import Document, SwappedDocument
from genept.storage.object_store import ObjectStore

BELIEVED: Final = timedelta(seconds=60)
"""How long a builder remembers the list. Nothing is deleted that was listed so lately."""

PATIENCE: Final = 20
"""How often, at growing intervals, a builder waits for a collector to end one deletion."""


class Marks(Document):
    """What the list says.

    Parameters
    ----------
    marked
        Since when keys are garbage: keys by moment (ISO 8601, by the store's clock).
    deleting
        Keys of the lake that a collector deletes in this moment.
    doomed
        Releases that a collector began to delete: they cannot become current again.
    """

    format: int = 1
    nonce: str = ""
    marked: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    deleting: tuple[str, ...] = ()
    doomed: tuple[str, ...] = ()

    @property
    def since(self) -> dict[str, datetime]:
        """Since when each key is marked."""
        return {
            key: datetime.fromisoformat(moment)
            for moment, keys in self.marked.items()
            for key in keys
        }

    @property
    def listed(self) -> set[str]:
        """Every key that is marked or being deleted."""
        return {key for keys in self.marked.values() for key in keys} | set(self.deleting)

    def with_marked(self, since: Mapping[str, datetime]) -> Marks:
        """The same with exactly these keys marked."""
        marked: dict[str, list[str]] = {}
        for key, moment in sorted(since.items()):
            marked.setdefault(moment.isoformat(), []).append(key)
        return self.model_copy(
            update={"marked": {moment: tuple(keys) for moment, keys in sorted(marked.items())}}
        )

    def without(self, keys: Collection[str]) -> Marks:
        """The same without these keys."""
        kept = {key: moment for key, moment in self.since.items() if key not in keys}
        deleting = tuple(key for key in self.deleting if key not in keys)
        return self.with_marked(kept).model_copy(update={"deleting": deleting})

    def with_deleting(self, keys: Collection[str]) -> Marks:
        """The same with those of these keys that are marked being deleted, and no others."""
        since = self.since
        deleting = tuple(sorted(key for key in keys if key in since))
        kept = {key: moment for key, moment in since.items() if key not in set(deleting)}
        return self.with_marked(kept).model_copy(update={"deleting": deleting})

    def with_doomed(self, releases: Collection[str]) -> Marks:
        """The same with exactly these releases doomed."""
        return self.model_copy(update={"doomed": tuple(sorted(releases))})


class _BusyError(StoreError):
    """A collector is deleting what is needed."""


class MarkList:
    """`gc/marks.json` of a product, rewritten by compare-and-swap."""

    def __init__(self, store: ObjectStore, product: str) -> None:
        self.store, self.key = store, f"{product}/gc/marks.json"
        self._document = SwappedDocument(store, self.key, Marks)
        self._listed: tuple[datetime, set[str]] | None = None

    def read(self) -> Marks:
        """What the list says now."""
        return self._read()[0]

    @retry(
        retry=retry_if_exception_type(ConflictError),
        stop=stop_after_attempt(8),
        wait=wait_random_exponential(multiplier=0.05, max=1),
        reraise=True,
    )
    def change(self, change: Callable[[Marks], Marks]) -> Marks:
        """Rewrite the list, from what it says when it is written; what it says then.

        Raises
        ------
        ConflictError
            If others keep rewriting it at the same moment.
        """
        before, etag = self._read()
        after = change(before)
        if after != before:
            after, _ = self._document.swap(after, etag)
        return after

    def touch(self) -> datetime:
        """What time it is by the store's clock."""
        self.change(lambda marks: marks.model_copy(update={"nonce": secrets.token_hex(8)}))
        info = self.store.head(self.key)
        if info is None:
            raise StoreError(f"{self.store.uri(self.key)} is gone: somebody deleted it; run again")
        return info.last_modified

    def keep(self, keys: Collection[str]) -> bool:
        """Take off the list what is used again.

        While a collector deletes one of the keys, this waits until it has; a collector that was
        killed is not waited for long.

        Returns
        -------
        bool
            Whether one of the keys was listed: then it may be gone, and must be looked for.
        """
        wanted = set(keys)
        now = datetime.now(UTC)
        if self._listed is None or not timedelta() <= now - self._listed[0] < BELIEVED:
            self._listed = now, self.read().listed
        if not wanted & self._listed[1]:
            return False
        self._listed = None
        with suppress(_BusyError):  # it was killed, or its claim will be gone when it goes on
            self._wait_for(wanted)
        self.change(lambda marks: marks.without(wanted) if wanted & marks.listed else marks)
        return True

    @retry(
        retry=retry_if_exception_type(_BusyError),
        stop=stop_after_attempt(PATIENCE),
        wait=wait_random_exponential(multiplier=0.1, max=2),
        reraise=True,
    )
    def _wait_for(self, wanted: set[str]) -> None:
        if wanted & set(self.read().deleting):
            raise _BusyError("it is being deleted")

    def _read(self) -> tuple[Marks, str | None]:
        marks, etag = self._document.read()
        return marks or Marks(), etag
