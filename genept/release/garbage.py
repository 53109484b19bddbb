"""What is garbage: what nobody will read again. Found here, deleted in `genept.release.collector`.

Kept always are the current and the previous release; what else may go, and when, is decided
here, and listed in an order of deletion that a kill cannot turn into a torn release.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from genept.common.errors import MissingObjectError
from genept.release.publish import Releases
from genept.schema.tables import TABLES
from genept.storage.requests import ObjectInfo

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
    """Objects that go together, and why.

    Parameters
    ----------
    sizes
        Bytes of each object by its key, in the order of their deletion.
    release_id
        Whose folder it is, if it is a release's.
    """

    what: str
    why: str
    sizes: Mapping[str, int]
    release_id: str | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys in the order of their deletion."""
        return tuple(self.sizes)

    @property
    def bytes(self) -> int:
        """Size of all objects."""
        return sum(self.sizes.values())

    def only(self, keys: Collection[str]) -> Garbage:
        """Those of its objects that are among `keys`."""
        return replace(self, sizes={key: n for key, n in self.sizes.items() if key in keys})


def find_garbage(
    releases: Releases,
    *,
    now: datetime | None = None,
    part_age: timedelta = PART_AGE,
    accepted: Collection[str] = (),
) -> list[Garbage]:
    """What may be deleted; deletes nothing.

    Parameters
    ----------
    now
        The time by the store's clock, by which objects are dated.
    part_age
        How old something in the lake must be. Of what is that old there go: tables and proofs
        of checks that no release holds, records of steps whose parts are in no such table, and
        then the parts that nothing refers to. What a later run needs of it is made again.
        Records of working tables and of snapshots stay.
    accepted
        As in `release_folders`.
    """
    now = now or datetime.now(UTC)
    return [
        *release_folders(releases, now, accepted),
        *_lake(releases, now, part_age),
    ]


def broken_chain(releases: Releases, accepted: Collection[str] = ()) -> str | None:
    """Why no folder of a release is garbage for now: manifests are lost. None if they are not."""
    history = releases.history()
    if not (missing := [one for one in history.missing if one not in accepted]):
        return None
    return (
        f"no folder of a release is collected: the manifest of {', '.join(missing)} is missing, so "
        f"nobody can say which of the {len(history.uncertain)} older releases that lie there were "
        "current. Restore it from a backup; if it is lost for good, say so with "
        + " ".join(f"--accept-missing {one}" for one in missing)
        + ", and the older ones count as releases that were current"
    )


def release_folders(
    releases: Releases, now: datetime, accepted: Collection[str] = ()
) -> list[Garbage]:
    """Folders of releases that are too old, and those that never became one.

    There are none before the first release, and none while the history has a gap.

    Parameters
    ----------
    accepted
        Releases whose manifest is known to be lost for good.
    """
    root = f"{releases.product}/releases/"
    folders: dict[str, list[ObjectInfo]] = defaultdict(list)
    for info in releases.store.list(root):
        folders[info.key.removeprefix(root).split("/")[0]].append(info)
    history = releases.history()  # read after the listing: what became current meanwhile is in it
    if not history.ids or set(history.missing) - set(accepted):
        return []
    known = sorted({*history.ids, *history.uncertain})
    protected, last, found = protected_releases(releases), set(known[-RELEASES_KEPT:]), []
    for release_id, objects in sorted(folders.items()):
        age = now - max(info.last_modified for info in objects)
        if release_id in protected:
            continue
        if release_id not in known:
            if age > STAGE_AGE:
                why = f"never became current, {age.days} days old"
                found.append(folder_of(release_id, why, objects))
        elif release_id not in last and age > RELEASE_AGE:
            why = f"{age.days} days old, and not of the last {RELEASES_KEPT}"
            found.append(folder_of(release_id, why, objects))
    return found


def folder_of(release_id: str, why: str, objects: list[ObjectInfo]) -> Garbage:
    """The manifest goes first: what is left by a kill is a stage, and no torn release."""
    objects = sorted(objects, key=lambda info: not info.key.endswith("/manifest.json"))
    return Garbage(
        f"release {release_id}", why, {info.key: info.bytes for info in objects}, release_id
    )


def protected_releases(releases: Releases) -> set[str]:
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
    kept = referenced(releases, ("tables",), without={info.key for info in notes})
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
    """Name and data version of every table of the releases that are or may have been current."""
    return {
        (name, table.data_version)
        for manifest in releases.history().manifests.values()
        for name, table in manifest.tables.items()
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


def referenced(
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
