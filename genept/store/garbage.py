"""Collecting garbage: what nobody will read again, found first and deleted only when told.

A role of its own: no run deletes. Kept always are the current and the previous release;
what else may go, and when, is decided here, and deleted in an order that a kill cannot
turn into a torn release.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from genept.store.errors import MissingObjectError
from genept.store.objects import ObjectInfo
from genept.store.release import Releases
from genept.tables import TABLES

STAGE_AGE: Final = timedelta(days=7)
RELEASE_AGE: Final = timedelta(days=30)
RELEASES_KEPT: Final = 14
PART_AGE: Final = timedelta(days=30)
UPLOAD_AGE: Final = timedelta(days=1)
PARTS: Final = "lake parts of "
DIGEST: Final = 64
"""Digits of a data version, with which the name of a table's note begins."""


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
        How old something in the lake must be. Of what is that old there go: tables and proofs
        of checks that no release holds, records of steps whose parts are in no such table, and
        then the parts that nothing refers to. What a later run needs of it is made again.
        Records of working tables and of snapshots stay.
    """
    now = now or datetime.now(UTC)
    return [*_release_folders(releases, now), *_lake(releases, now, part_age)]


def collect(releases: Releases, found: list[Garbage]) -> None:
    """Delete what was found, but for what came into use since."""
    pointer = releases.pointer()
    folders = {f"{releases.folder(one)}/" for one in _protected(releases)} if pointer else set()
    held = _held_by_releases(releases)
    for one in found:
        in_use = _referenced(releases) if one.what.startswith(PARTS) else set()
        releases.store.delete(
            key
            for key in one.keys
            if key not in in_use
            and _noted(releases, key) not in held
            and not any(key.startswith(folder) for folder in folders)
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


def _lake(releases: Releases, now: datetime, age: timedelta) -> Iterator[Garbage]:
    """Notes of the lake that nobody needs, and the parts that only they refer to."""
    prefix = f"{releases.lake.prefix}/"
    objects = [info for info in releases.store.list(prefix) if now - info.last_modified > age]
    held = _held_by_releases(releases)  # read after the listing: what is new is in it
    noted = {info.key: _noted(releases, info.key) for info in objects}
    notes = [info for info in objects if (note := noted[info.key]) and note not in held]
    kept = _referenced(releases, ("tables",), without={info.key for info in notes})
    records = [
        info
        for info in objects
        if info.key.startswith(f"{prefix}records/") and _is_stale(releases, info.key, kept)
    ]
    for what, gone, why in (
        ("lake tables", notes, "no release holds them"),
        ("lake records", records, "their parts are in no table that a release holds"),
    ):
        if gone:
            yield _group(what, f"{why}, older than {age.days} days", gone)
    doomed = {info.key for info in (*notes, *records)}
    in_use = _referenced(releases, without=doomed)
    unused: dict[str, list[ObjectInfo]] = defaultdict(list)
    for info in objects:
        if info.key.endswith(".parquet") and info.key not in in_use:
            unused[info.key.removeprefix(prefix).split("/")[0]].append(info)
    for table, parts in sorted(unused.items()):
        why = f"no record, table or release refers to them, older than {age.days} days"
        yield _group(f"{PARTS}{table}", why, parts)


def _group(what: str, why: str, objects: list[ObjectInfo]) -> Garbage:
    keys = tuple(info.key for info in objects)
    return Garbage(what, why, keys, sum(info.bytes for info in objects))


def _held_by_releases(releases: Releases) -> set[tuple[str, str]]:
    """Name and data version of every table of every release."""
    return {
        (name, table.data_version)
        for release_id in releases.ids()
        for name, table in releases.manifest(release_id).tables.items()
    }


def _noted(releases: Releases, key: str) -> tuple[str, str] | None:
    """Name and data version of the published table that a note of the lake is about."""
    kind, _, rest = key.removeprefix(f"{releases.lake.prefix}/").partition("/")
    name, _, file = rest.partition("/")
    if kind not in {"tables", "evidence"} or name not in TABLES:
        return None
    return name, file[:DIGEST]


def _is_stale(releases: Releases, key: str, kept: set[str]) -> bool:
    """Whether a record lists parts of published tables only, and none that is kept."""
    parts = _listed(releases, key)
    return bool(parts) and all(
        part["table"] in TABLES and part["key"] not in kept for part in parts
    )


def _referenced(
    releases: Releases,
    notes: tuple[str, ...] = ("records", "tables"),
    *,
    without: Collection[str] = (),
) -> set[str]:
    """Keys of all parts that a record or a table lists."""
    return {
        part["key"]
        for folder in notes
        for info in releases.store.list(f"{releases.lake.prefix}/{folder}/")
        if info.key not in without
        for part in _listed(releases, info.key)
    }


def _listed(releases: Releases, key: str) -> list[dict[str, Any]]:
    """What a note lists; nothing if it is gone by now."""
    try:
        listed: list[dict[str, Any]] = json.loads(releases.store.get(key))
    except MissingObjectError:
        return []
    return listed
