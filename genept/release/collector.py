"""Garbage collection in two steps: garbage is listed, and deleted after a grace period.

What is garbage is decided in `genept.release.garbage`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from genept.release.fencing import Claim, RunState, collector_name
from genept.release.garbage import (
    PART_AGE,
    PARTS,
    Garbage,
    find_garbage,
    folder_of,
    protected_releases,
    referenced,
    release_folders,
)
from genept.release.publish import Releases
from genept.storage import Marks, ObjectStore

GRACE: Final = timedelta(days=1)
"""Minimum time between listing and deletion."""


AT_ONCE: Final = 500
"""Objects of one deletion request; the claim is renewed before each request."""


@dataclass(frozen=True)
class Listed:
    """Garbage, and the time at which each key was listed.

    Parameters
    ----------
    garbage
        What may be deleted once it has been listed for long enough.
    since
        When each key was first listed, by key.
    now
        Time of this listing, by the store's clock unless the caller gave another.
    """

    garbage: tuple[Garbage, ...]
    since: dict[str, datetime]
    now: datetime

    def due(self, grace: timedelta) -> list[Garbage]:
        """Return the garbage that was listed at least `grace` ago."""
        keys = {key for key, moment in self.since.items() if self.now - moment >= grace}
        return [chosen for group in self.garbage if (chosen := group.only(keys)).sizes]


def list_garbage(
    releases: Releases,
    *,
    now: datetime | None = None,
    part_age: timedelta = PART_AGE,
    accepted: Collection[str] = (),
) -> Listed:
    """Find garbage and list it in the store; deletes nothing.

    Parameters
    ----------
    releases
        Opened with the publisher's keys, which may write the list.
    now
        By default the time by the store's clock, which also dates objects.
    part_age, accepted
        As in `find_garbage`.

    Returns
    -------
    Listed
        The garbage; a key that was listed before keeps its time.
    """
    now = now or releases.marks.touch()
    garbage = find_garbage(releases, now=now, part_age=part_age, accepted=accepted)
    keys = {key for group in garbage for key in group.keys}
    marks = releases.marks.change(
        lambda marks: marks.with_marked({key: marks.since.get(key, now) for key in keys})
    )
    return Listed(tuple(garbage), marks.since, now)


def delete_garbage(
    releases: Releases,
    store: ObjectStore,
    state_of: Callable[[str], RunState],
    *,
    grace: timedelta = GRACE,
    now: datetime | None = None,
    part_age: timedelta = PART_AGE,
    accepted: Collection[str] = (),
) -> tuple[Listed, list[Garbage]]:
    """List garbage, and delete what was listed at least `grace` ago and is still garbage.

    Parameters
    ----------
    releases
        Opened with the publisher's keys, which may write the claim, the list and the pointer.
    store
        The same bucket, opened with the keys of role ``gc``.
    state_of
        State of the run that holds the claim; see `Claim.take`.
    grace
        Minimum time between listing and deletion.
    now, part_age, accepted
        As in `list_garbage`.

    Returns
    -------
    listed, deleted
        What is listed, and what of it was deleted.

    Raises
    ------
    LostClaimError
        A run or another collector holds the claim, or took it over.
    """
    collector = _Collector(releases, store, state_of)
    collector.confirm()
    try:
        listed = list_garbage(releases, now=now, part_age=part_age, accepted=accepted)
        due = listed.due(grace)
        deleted = [
            *collector.delete_releases(
                [group for group in due if group.release_id], listed.now, accepted
            ),
            *collector.delete_from_lake([group for group in due if not group.release_id]),
        ]
    finally:
        collector.claim.end_collection(collector.name)
    return listed, deleted


class _Collector:
    """One garbage collection."""

    def __init__(
        self, releases: Releases, store: ObjectStore, state_of: Callable[[str], RunState]
    ) -> None:
        self.releases, self.store, self.state_of = releases, store, state_of
        self.claim, self.name = Claim(releases), collector_name()
        self.marks = releases.marks

    def confirm(self) -> None:
        """Take or renew the claim. Raises `LostClaimError` if another process holds it."""
        self.claim.collect(self.name, self.state_of)

    def delete_releases(
        self, due: Sequence[Garbage], now: datetime, accepted: Collection[str]
    ) -> Iterator[Garbage]:
        """Delete folders of releases, and the rest of those that a killed collector left."""
        wanted = {str(group.release_id) for group in due}
        left = set(self.marks.read().doomed)
        if not wanted | left:
            return
        self.marks.change(lambda marks: marks.with_doomed({*marks.doomed, *wanted}))
        self.claim.fence()
        # No process can make one of them current from here on; one that did so before is seen.
        protected = protected_releases(self.releases)
        garbage = {
            group.release_id: group for group in release_folders(self.releases, now, accepted)
        }
        for release_id in sorted(wanted | left):
            folder = garbage.get(release_id)
            if folder is None and release_id in left:
                objects = self.releases.store.list(f"{self.releases.folder(release_id)}/")
                folder = folder_of(release_id, "left by a killed collector", list(objects))
            if folder is not None and release_id not in protected:
                self._delete(folder.keys)
                yield folder
            self._undoom(release_id)

    def _undoom(self, release_id: str) -> None:
        self.marks.change(lambda marks: marks.with_doomed({*marks.doomed} - {release_id}))

    def delete_from_lake(self, due: Sequence[Garbage]) -> Iterator[Garbage]:
        """Delete the objects of the lake that are still listed."""
        for group in due:
            in_use = referenced(self.releases) if group.what.startswith(PARTS) else set()
            chosen = [key for key in group.keys if key not in in_use]
            gone: list[str] = []
            for start in range(0, len(chosen), AT_ONCE):
                batch = set(chosen[start : start + AT_ONCE])
                marks = self.marks.change(partial(Marks.with_deleting, keys=batch))
                self._delete(marks.deleting)
                gone += marks.deleting
            if gone:
                yield group.only(gone)
        self.marks.change(lambda marks: marks.with_deleting(()))

    def _delete(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), AT_ONCE):
            self.confirm()
            self.store.delete(keys[start : start + AT_ONCE])
