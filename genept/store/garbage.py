"""Collecting garbage: what nobody will read again, found first and deleted only when told.

A role of its own: no run deletes. Kept always are the current and the previous release;
what else may go, and when, is decided here, and deleted in an order that a kill cannot
turn into a torn release.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from genept.store.errors import MissingObjectError
from genept.store.objects import ObjectInfo
from genept.store.release import Releases

STAGE_AGE: Final = timedelta(days=7)
RELEASE_AGE: Final = timedelta(days=30)
RELEASES_KEPT: Final = 14
PART_AGE: Final = timedelta(days=30)
UPLOAD_AGE: Final = timedelta(days=1)


@dataclass(frozen=True)
class Garbage:
    """Objects that go together, and why. `keys` are in the order of their deletion."""

    what: str
    why: str
    keys: tuple[str, ...]
    bytes: int


def find_garbage(
    releases: Releases, *, now: datetime | None = None, part_age: timedelta = PART_AGE
) -> list[Garbage]:
    """What may be deleted; deletes nothing.

    Parameters
    ----------
    part_age
        How old a part of the lake must be that no record and no table refers to: a run that
        made it may not have come to write its record yet.
    """
    now = now or datetime.now(UTC)
    return [*_release_folders(releases, now), *_lake_parts(releases, now, part_age)]


def collect(releases: Releases, found: list[Garbage]) -> None:
    """Delete what was found, but for what came into use since."""
    pointer = releases.pointer()
    kept = {f"{releases.folder(one)}/" for one in _protected(releases)} if pointer else set()
    in_use = _referenced(releases)
    for one in found:
        releases.store.delete(
            key
            for key in one.keys
            if key not in in_use and not any(key.startswith(folder) for folder in kept)
        )


def _release_folders(releases: Releases, now: datetime) -> Iterator[Garbage]:
    """Folders of releases that are too old, and those that never became one."""
    root = f"{releases.product}/releases/"
    folders: dict[str, list[ObjectInfo]] = defaultdict(list)
    for info in releases.store.list(root):
        folders[info.key.removeprefix(root).split("/")[0]].append(info)
    history = releases.ids()  # read after the listing: what became current meanwhile is in it
    protected, last = _protected(releases), set(history[-RELEASES_KEPT:])
    for release_id, objects in sorted(folders.items()):
        age = now - max(info.last_modified for info in objects)
        if release_id in protected:
            continue
        if release_id not in history:
            if age > STAGE_AGE:
                yield _folder(release_id, f"never became current, {age.days} days old", objects)
        elif release_id not in last and age > RELEASE_AGE:
            yield _folder(
                release_id, f"{age.days} days old, and not of the last {RELEASES_KEPT}", objects
            )


def _folder(release_id: str, why: str, objects: list[ObjectInfo]) -> Garbage:
    """The manifest goes first: what is left by a kill is a stage, and no torn release."""
    keys = sorted((info.key for info in objects), key=lambda key: not key.endswith("manifest.json"))
    return Garbage(f"release {release_id}", why, tuple(keys), sum(info.bytes for info in objects))


def _protected(releases: Releases) -> set[str]:
    """The current release, the one before it, and the one that was current before."""
    pointer = releases.pointer()
    if pointer is None:
        return set()
    chosen = {pointer.release_id, pointer.previous, releases.manifest(pointer.release_id).previous}
    return {one for one in chosen if one is not None}


def _lake_parts(releases: Releases, now: datetime, part_age: timedelta) -> Iterator[Garbage]:
    parts = [
        info
        for info in releases.store.list(f"{releases.lake.prefix}/")
        if info.key.endswith(".parquet") and now - info.last_modified > part_age
    ]
    in_use = _referenced(releases)  # read after the listing: what is recorded meanwhile is in it
    unused: dict[str, list[ObjectInfo]] = defaultdict(list)
    for info in parts:
        if info.key not in in_use:
            unused[info.key.removeprefix(f"{releases.lake.prefix}/").split("/")[0]].append(info)
    for table, objects in sorted(unused.items()):
        yield Garbage(
            f"lake {table}",
            f"{len(objects)} parts that no record, table or release refers to, older than "
            f"{part_age.days} days",
            tuple(info.key for info in objects),
            sum(info.bytes for info in objects),
        )


def _referenced(releases: Releases) -> set[str]:
    """Keys of all parts that a record or a table lists."""
    prefix = releases.lake.prefix
    found: set[str] = set()
    for folder in ("records", "tables"):
        for info in releases.store.list(f"{prefix}/{folder}/"):
            try:
                listed = json.loads(releases.store.get(info.key))
            except MissingObjectError:
                continue
            found.update(part["key"] for part in listed)
    return found
