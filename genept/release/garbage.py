"""What is garbage: releases and parts of the lake that are not needed any more.

The current and the previous release are always kept. Objects are ordered so that a deletion that is
killed does not leave an incomplete release. Deletion is in `genept.release.collector`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from genept.common import MissingObjectError
from genept.release.publish import Releases
from genept.schema.tables import TABLES
from genept.storage import ObjectInfo

STAGE_AGE: Final = timedelta(days=7)
RELEASE_AGE: Final = timedelta(days=30)
RELEASES_KEPT: Final = 14
PART_AGE: Final = timedelta(days=30)
UPLOAD_AGE: Final = timedelta(days=1)
PARTS: Final = "lake parts of "
DIGEST: Final = 64
"""Number of hex digits of a data version, with which names of table records begin."""


@dataclass(frozen=True)
class Garbage:
    """Objects that are deleted together, and why.

    Parameters
    ----------
    what
        Description of the objects.
    why
        Why they may be deleted.
    sizes
        Size of each object in bytes, by key, in the order of deletion.
    release_id
        Id of the release whose folder it is, if any.
    """

    what: str
    why: str
    sizes: Mapping[str, int]
    release_id: str | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys in the order of deletion."""
        return tuple(self.sizes)

    @property
    def bytes(self) -> int:
        """Total size in bytes."""
        return sum(self.sizes.values())

    def only(self, keys: Collection[str]) -> Garbage:
        """Return the same with only those objects that are among `keys`."""
        return replace(self, sizes={key: n for key, n in self.sizes.items() if key in keys})


def find_garbage(
    releases: Releases,
    *,
    now: datetime | None = None,
    part_age: timedelta = PART_AGE,
    accepted: Collection[str] = (),
) -> list[Garbage]:
    """Find what may be deleted; deletes nothing.

    Parameters
    ----------
    releases
        The releases of the product.
    now
        Present time by the store's clock, which also dates objects.
    part_age
        Minimum age of objects of the lake. Of these, tables and evidence of checks that no
        release has are garbage, then records of steps whose parts are in no such table, then
        parts without any reference. A later run computes again what it needs. Records of working
        tables and of snapshots are kept.
    accepted
        As in `release_folders`.

    Returns
    -------
    list of Garbage
        In the order of deletion.
    """
    now = now or datetime.now(UTC)
    return [*release_folders(releases, now, accepted), *_lake(releases, now, part_age)]


def broken_chain(releases: Releases, accepted: Collection[str] = ()) -> str | None:
    """Explain why no folder of a release can be collected: manifests of releases are missing.

    Parameters
    ----------
    releases
        The releases of the product.
    accepted
        Ids of releases whose missing manifest is accepted as lost.

    Returns
    -------
    str or None
        Which manifests are missing, and what to do; None if none is.
    """
    history = releases.history()
    if not (
        missing := [release_id for release_id in history.missing if release_id not in accepted]
    ):
        return None
    return (
        f"no folder of a release is collected: the manifest of {', '.join(missing)} is missing, so "
        f"it is unknown which of the {len(history.uncertain)} older releases were current. "
        "Restore it from a backup; if it is lost for good, say so with "
        + " ".join(f"--accept-missing {release_id}" for release_id in missing)
        + ", and the older ones count as releases that were current"
    )


def release_folders(
    releases: Releases, now: datetime, accepted: Collection[str] = ()
) -> list[Garbage]:
    """Return folders of releases that are too old, or that never became current.

    Before the first release, and while manifests are missing, there are none.

    Parameters
    ----------
    releases
        The releases of the product.
    now
        Present time by the store's clock.
    accepted
        Ids of releases whose missing manifest is accepted as lost.
    """
    root = f"{releases.product}/releases/"
    folders: dict[str, list[ObjectInfo]] = defaultdict(list)
    for info in releases.store.list(root):
        folders[info.key.removeprefix(root).split("/")[0]].append(info)
    history = releases.history()  # read after the listing, so that it has the newest release
    if not history.ids or set(history.missing) - set(accepted):
        return []
    known = sorted({*history.ids, *history.uncertain})
    protected, last, garbage = protected_releases(releases), set(known[-RELEASES_KEPT:]), []
    for release_id, objects in sorted(folders.items()):
        age = now - max(info.last_modified for info in objects)
        if release_id in protected:
            continue
        if release_id not in known:
            if age > STAGE_AGE:
                why = f"never became current, {age.days} days old"
                garbage.append(folder_of(release_id, why, objects))
        elif release_id not in last and age > RELEASE_AGE:
            why = f"{age.days} days old, and not of the last {RELEASES_KEPT}"
            garbage.append(folder_of(release_id, why, objects))
    return garbage


def folder_of(release_id: str, why: str, objects: list[ObjectInfo]) -> Garbage:
    """Return a folder as garbage; the manifest is deleted first, so the rest is no release."""
    objects = sorted(objects, key=lambda info: not info.key.endswith("/manifest.json"))
    return replace(_group(f"release {release_id}", why, objects), release_id=release_id)


def protected_releases(releases: Releases) -> set[str]:
    """Return the ids of the current and the stable release, and of the ones before the current.

    Those are its predecessor, and the one that was current before it.
    """
    pointer = releases.pointer()
    if pointer is None:
        return set()
    before = releases.manifest(pointer.release_id).previous
    chosen = {pointer.release_id, pointer.previous, pointer.stable, before}
    return {release_id for release_id in chosen if release_id is not None}


def _lake(releases: Releases, now: datetime, age: timedelta) -> Iterator[Garbage]:
    """Tables, evidence and records of the lake that are not needed, and their parts."""
    prefix = f"{releases.lake.prefix}/"
    objects = [info for info in releases.store.list(prefix) if now - info.last_modified > age]
    held = _held_by_releases(releases)  # read after the listing, so that it has the newest release
    noted = {info.key: _noted(releases, info.key) for info in objects}
    notes = [info for info in objects if (note := noted[info.key]) and note not in held]
    kept = referenced(releases, ("tables",), without={info.key for info in notes})
    records = [
        info
        for info in objects
        if info.key.startswith(f"{prefix}records/") and _is_stale(releases, info.key, kept)
    ]
    drawn = [
        info for info in objects if info.key.startswith((f"{prefix}pictures/", f"{prefix}reports/"))
    ]
    for what, gone, why in (
        ("lake tables", notes, "no release holds them"),
        ("lake records", records, "their parts are in no table that a release holds"),
        ("lake pictures and reports", drawn, "they are drawn again where they are needed"),
    ):
        if gone:
            yield _group(what, f"{why}, older than {age.days} days", gone)
    doomed = {info.key for info in (*notes, *records)}
    in_use = referenced(releases, without=doomed)
    unused: dict[str, list[ObjectInfo]] = defaultdict(list)
    for info in objects:
        if info.key.endswith(".parquet") and info.key not in in_use:
            unused[info.key.removeprefix(prefix).split("/")[0]].append(info)
    for table, parts in sorted(unused.items()):
        why = f"no record, table or release refers to them, older than {age.days} days"
        yield _group(f"{PARTS}{table}", why, parts)


def _group(what: str, why: str, objects: list[ObjectInfo]) -> Garbage:
    return Garbage(what, why, {info.key: info.bytes for info in objects})


def _held_by_releases(releases: Releases) -> set[tuple[str, str]]:
    """Name and data version of all tables of releases that are or may have been current."""
    return {
        (name, table.data_version)
        for manifest in releases.history().manifests.values()
        for name, table in manifest.tables.items()
    }


def _noted(releases: Releases, key: str) -> tuple[str, str] | None:
    """Name and data version of the published table that an object of the lake describes."""
    kind, _, rest = key.removeprefix(f"{releases.lake.prefix}/").partition("/")
    name, _, file = rest.partition("/")
    if kind not in {"tables", "evidence"} or name not in TABLES:
        return None
    return name, file[:DIGEST]


def _is_stale(releases: Releases, key: str, kept: set[str]) -> bool:
    """Whether a record lists only parts of published tables, and none that is kept."""
    parts = _listed(releases, key)
    return bool(parts) and all(
        part["table"] in TABLES and part["key"] not in kept for part in parts
    )


def referenced(
    releases: Releases,
    notes: tuple[str, ...] = ("records", "tables"),
    *,
    without: Collection[str] = (),
) -> set[str]:
    """Return the keys of all parts that a record or a table lists."""
    return {
        part["key"]
        for folder in notes
        for info in releases.store.list(f"{releases.lake.prefix}/{folder}/")
        if info.key not in without
        for part in _listed(releases, info.key)
    }


def _listed(releases: Releases, key: str) -> list[dict[str, Any]]:
    """Parts that a record or table lists; none if it was deleted."""
    try:
        listed: list[dict[str, Any]] = json.loads(releases.store.get(key))
    except MissingObjectError:
        return []
    return listed
