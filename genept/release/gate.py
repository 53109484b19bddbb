"""What must be true before the pointer moves: tables, proof of their checks, deny list, a new id.

How declarations may change from one release to the next is decided here too; see
docs/decisions/0008-schema-version.md. Which releases were current is read from the manifests.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from genept.common.errors import MissingObjectError
from genept.release.manifest import Evidence, Manifest, Pointer, ReleasedColumn, ReleasedTable
from genept.release.staging import ReleaseRefusedError
from genept.schema.columns import Table
from genept.schema.tables import SCHEMA_VERSION, TABLES
from genept.storage.bucket import Bucket
from genept.storage.provenance import StoredTable


@dataclass(frozen=True)
class History:
    """What is known of the releases of a product.

    Parameters
    ----------
    ids
        Releases that are or were current, oldest first.
    missing
        Releases whose manifest is gone although older releases lie there still.
    uncertain
        Those older ones: sealed, and perhaps current once.
    manifests
        Of both, as they were when they were read: some may be gone by now.
    """

    ids: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    manifests: Mapping[str, Manifest] = field(default_factory=dict)


def read_history(store: Bucket, folder: str, pointer: Pointer | None) -> History:
    """Follow the manifests below `folder` from the pointer back to the first release.

    Raises
    ------
    StoreError
        A manifest is damaged, or of a format that this version does not read.
    """
    known: dict[str, Manifest] = {}
    missing: set[str] = set()
    for newest in pointer.heads if pointer else ():
        release_id: str | None = newest
        while release_id is not None and release_id not in known.keys() | missing:
            manifest = _read(store, folder, release_id)
            if manifest is None:
                missing.add(release_id)
                break
            known[release_id] = manifest
            release_id = manifest.previous
    if not missing:
        return History(tuple(sorted(known)), manifests=known)
    uncertain = {
        one: manifest
        for one in _sealed(store, folder) - known.keys()
        if one < max(missing) and (manifest := _read(store, folder, one)) is not None
    }
    lost = [one for one in missing if uncertain and one > min(uncertain)]
    return History(
        tuple(sorted(known)), tuple(sorted(lost)), tuple(sorted(uncertain)), known | uncertain
    )


def _read(store: Bucket, folder: str, release_id: str) -> Manifest | None:
    key = f"{folder}/{release_id}/manifest.json"
    try:
        return Manifest.parse(store.get(key), store.uri(key))
    except MissingObjectError:
        return None


def _sealed(store: Bucket, folder: str) -> set[str]:
    """Releases that have a manifest, current once or not."""
    paths = [info.key.removeprefix(f"{folder}/").split("/") for info in store.list(f"{folder}/")]
    return {path[0] for path in paths if path[1:] == ["manifest.json"]}


def new_id(now: datetime, pointer: Pointer | None) -> str:
    """An id that no other attempt has, and that sorts after every release that was current.

    It says when the release was made, to the millisecond. If the clock is behind the newest
    release, because it is wrong or was wrong then, the id is one millisecond after that one.
    """
    newest = max(pointer.heads).rpartition("-")[0] if pointer else ""
    if (stamp := _stamp(now)) <= newest:
        stamp = _stamp(datetime.strptime(newest, _STAMP) + timedelta(milliseconds=1))
    return f"{stamp}-{secrets.token_hex(3)}"


_STAMP: Final = "%Y%m%dT%H%M%S.%fZ"


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03}Z"


def refuse_incomplete(tables: Mapping[str, StoredTable | ReleasedTable]) -> None:
    """Every declared table is there, and no other."""
    if missing := sorted(set(TABLES) - set(tables)):
        raise ReleaseRefusedError(f"tables are missing from the release: {', '.join(missing)}")
    if unknown := sorted(set(tables) - set(TABLES)):
        raise ReleaseRefusedError(f"genept/schema/tables does not declare {', '.join(unknown)}")


def refuse_unproved(
    tables: Mapping[str, StoredTable | ReleasedTable], evidence: Mapping[str, Evidence]
) -> None:
    """This very content of every table passed its checks."""
    for name, table in tables.items():
        proof = evidence.get(name)
        if proof is None or proof.data_version != table.data_version:
            raise ReleaseRefusedError(f"{name}: nothing shows that this content was checked")
        if not proof.passed:
            raise ReleaseRefusedError(f"{name} failed its checks: {'; '.join(proof.failed)}")


def refuse_denied(pointer: Pointer, data_version: str) -> None:
    """Content that was rolled back from does not come back with the next nightly run."""
    for denied in pointer.denied:
        if denied.data_version == data_version and denied.lifted_at is None:
            raise ReleaseRefusedError(
                f"this content was published as {denied.release_id} and rolled back from on "
                f"{denied.denied_at} ({denied.reason}); {pointer.release_id} stays current: change "
                f"what made it, or take it back with `genept release allow {denied.release_id}`"
            )


Change = Literal["major", "minor"]


@dataclass(frozen=True)
class SchemaChange:
    """One change of the declarations; `announced` if the release before said it would come."""

    what: str
    needs: Change
    announced: bool = True


def schema_changes(
    before: Mapping[str, ReleasedTable], after: Mapping[str, Table]
) -> Iterator[SchemaChange]:
    """Everything that a reader of the tables `before` would notice in those declared `after`."""
    for name, released in before.items():
        if name not in after:
            yield SchemaChange(f"table {name} is gone", "major", released.deprecated is not None)
        else:
            yield from _table_changes(released, after[name])
    for name in after.keys() - before.keys():
        yield SchemaChange(f"table {name} is new", "minor")


def refuse_breaking(
    current: Manifest,
    declared: Mapping[str, Table] = TABLES,
    version: str = SCHEMA_VERSION,
) -> None:
    """Refuse a release whose declarations changed more than their version says.

    A release from before there were versions binds nobody.

    Raises
    ------
    ReleaseRefusedError
        What changed, and what to raise the version to, or to announce first.
    """
    if current.schema_version is None:
        return
    old, new = _numbers(current.schema_version), _numbers(version)
    changes = list(schema_changes(current.tables, declared))
    if new < old:
        raise ReleaseRefusedError(
            f"SCHEMA_VERSION is {version}, and the current release {current.release_id} has "
            f"{current.schema_version} already: it never falls"
        )
    if sudden := [one.what for one in changes if not one.announced]:
        raise ReleaseRefusedError(
            f"{'; '.join(sudden)}: readers of {current.release_id} were not told. Publish one "
            'release in which genept/schema/tables marks it as deprecated="what to read instead" '
            "first"
        )
    for needs in ("major", "minor"):
        asking = [one.what for one in changes if one.needs == needs]
        place = 0 if needs == "major" else 1
        if asking and new[: place + 1] <= old[: place + 1]:
            least = (*old[:place], old[place] + 1, *([0] * (2 - place)))
            raise ReleaseRefusedError(
                f"{'; '.join(asking)}: raise SCHEMA_VERSION in genept/schema/tables from "
                f"{current.schema_version} to {'.'.join(map(str, least))} at least"
            )


def _table_changes(released: ReleasedTable, table: Table) -> Iterator[SchemaChange]:
    declared = {column.name: column for column in ReleasedColumn.of(table)}
    noticed = released.deprecated is not None
    if (released.key, released.partition) != (table.key, table.partition):
        yield SchemaChange(f"{table.name} has another key or partition", "major", noticed)
    for old in released.columns:
        where = f"{table.name}.{old.name}"
        announced = noticed or old.deprecated is not None
        if old.name not in declared:
            yield SchemaChange(f"{where} is gone", "major", announced)
            continue
        new = declared.pop(old.name)
        for what, was, now in (("type", old.type, new.type), ("unit", old.unit, new.unit)):
            if was != now:
                yield SchemaChange(f"{where} changes its {what}: {was} → {now}", "major", announced)
        if new.nullable and not old.nullable:
            yield SchemaChange(f"{where} may be empty now", "major", announced)
        if old.allowed and (added := sorted(set(new.allowed or ()) - set(old.allowed))):
            yield SchemaChange(f"{where} may be {', '.join(added)}, too", "minor")
    for name in declared:
        yield SchemaChange(f"{table.name}.{name} is new", "minor")


def _numbers(version: str) -> tuple[int, int, int]:
    major, minor, patch = map(int, version.split("."))
    return major, minor, patch
