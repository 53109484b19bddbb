"""The release gate: complete tables, passed checks, deny list, schema version; and the history.

How declarations may change from release to release: docs/decisions/0008-schema-version.md. Drift of
rows is in `genept.release.drift`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Literal

from genept.common import MissingObjectError
from genept.release.manifest import CheckEvidence, Manifest, Pointer, ReleasedColumn, ReleasedTable
from genept.release.staging import ReleaseRefusedError
from genept.schema import Table
from genept.schema.tables import SCHEMA_VERSION, TABLES
from genept.storage import Bucket, StoredTable


@dataclass(frozen=True)
class History:
    """The releases of a product.

    Parameters
    ----------
    ids
        Ids of the releases that are or were current, oldest first.
    missing
        Ids of releases whose manifest is missing, although older releases are stored.
    uncertain
        Ids of those older releases, which may have been current.
    manifests
        Manifests of `ids` and `uncertain`, by id.
    """

    ids: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    manifests: Mapping[str, Manifest] = field(default_factory=dict)


def read_history(store: Bucket, folder: str, pointer: Pointer | None) -> History:
    """Follow the manifests below the prefix `folder` from the pointer back to the first release.

    Raises `StoreError` if a manifest is damaged, or has a later format than this version reads.
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
        release_id: manifest
        for release_id in _sealed(store, folder) - known.keys()
        if release_id < max(missing) and (manifest := _read(store, folder, release_id)) is not None
    }
    lost = [release_id for release_id in missing if uncertain and release_id > min(uncertain)]
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
    """Ids of the releases that have a manifest."""
    paths = [info.key.removeprefix(f"{folder}/").split("/") for info in store.list(f"{folder}/")]
    return {path[0] for path in paths if path[1:] == ["manifest.json"]}


def new_id(now: datetime, pointer: Pointer | None) -> str:
    """Return a unique id that sorts after all releases that were current.

    It contains the time of the release in milliseconds. If the clock is behind the newest release,
    the time is one millisecond after that of the newest.
    """
    newest = max(pointer.heads).rpartition("-")[0] if pointer else ""
    if (stamp := _stamp(now)) <= newest:
        stamp = _stamp(datetime.strptime(newest, _STAMP) + timedelta(milliseconds=1))
    return f"{stamp}-{secrets.token_hex(3)}"


_STAMP: Final = "%Y%m%dT%H%M%S.%fZ"


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03}Z"


def refuse_incomplete(tables: Mapping[str, StoredTable | ReleasedTable]) -> None:
    """Raise `ReleaseRefusedError` unless exactly the declared tables are present."""
    if missing := sorted(set(TABLES) - set(tables)):
        raise ReleaseRefusedError(f"tables are missing from the release: {', '.join(missing)}")
    if unknown := sorted(set(tables) - set(TABLES)):
        raise ReleaseRefusedError(f"genept/schema/tables does not declare {', '.join(unknown)}")


def refuse_unproved(
    tables: Mapping[str, StoredTable | ReleasedTable], evidence: Mapping[str, CheckEvidence]
) -> None:
    """Raise `ReleaseRefusedError` unless the content of every table passed its checks."""
    for name, table in tables.items():
        proof = evidence.get(name)
        if proof is None or proof.data_version != table.data_version:
            raise ReleaseRefusedError(f"{name}: there is no evidence that this content was checked")
        if not proof.passed:
            raise ReleaseRefusedError(f"{name} failed its checks: {'; '.join(proof.failed)}")


def refuse_partial(current: Manifest, limits: Mapping[str, Any]) -> None:
    """Raise `ReleaseRefusedError` if settings limited a release that replaces a complete one."""
    if current.complete:
        raise ReleaseRefusedError(
            f"the current release {current.release_id} is complete, and this one is limited by "
            f"settings ({dict(limits)}): lift them, or publish it apart with GENEPT_PRODUCT=trial"
        )


def refuse_denied(pointer: Pointer, data_version: str) -> None:
    """Raise `ReleaseRefusedError` for content that was rolled back from."""
    for denied in pointer.denied:
        if denied.data_version == data_version and denied.lifted_at is None:
            raise ReleaseRefusedError(
                f"this content was published as {denied.release_id} and rolled back from on "
                f"{denied.denied_at} ({denied.reason}); {pointer.release_id} stays current: change "
                f"what made it, or take it back with `genept release allow {denied.release_id}`"
            )


def is_same(current: Manifest, data_version: str) -> bool:
    """Return whether a release has this content, and lies as this version writes releases.

    Content that was released by an earlier major version of the schema is released anew, without
    computing anything: where files lie, and how vectors are stated, is another.
    """
    written = (current.schema_version or "0").partition(".")[0]
    return current.data_version == data_version and written == SCHEMA_VERSION.partition(".")[0]


Level = Literal["major", "minor"]

RESTATED: Final = {
    "fixed_size_list<float>[dimensions of the space]": "list<float>[dimensions of the space]"
}
"""Types that were stated otherwise before schema 2.0.0, for the same bytes; see
docs/decisions/0017-a-catalogue-over-plain-parquet.md. They need a major raise, and no notice: no
release before had a way to give it without computing every table anew."""

SETTING: Final = "GENEPT_APPROVE"
"""Setting that approves changes of tables for one run."""


@dataclass(frozen=True)
class SchemaChange:
    """A change of the declarations; `announced` if the release before marked it as deprecated."""

    table: str
    what: str
    needs: Level
    announced: bool = True


def schema_changes(
    before: Mapping[str, ReleasedTable], after: Mapping[str, Table]
) -> Iterator[SchemaChange]:
    """Compare released tables with declarations; yield the changes that readers would notice."""
    for name, released in before.items():
        if name not in after:
            announced = released.deprecated is not None
            yield SchemaChange(name, f"table {name} is gone", "major", announced)
        else:
            yield from _table_changes(released, after[name])
    for name in after.keys() - before.keys():
        yield SchemaChange(name, f"table {name} is new", "minor")


def refuse_breaking(
    current: Manifest,
    declared: Mapping[str, Table] = TABLES,
    version: str = SCHEMA_VERSION,
    *,
    approved: Collection[str] = (),
) -> None:
    """Refuse a release whose declarations changed more than their version says.

    A current release without a schema version is not compared. An installation that skipped the
    release with the notice approves the tables instead: their readers need none. The error names
    the changes, and the version to set or the change to announce first.
    """
    if current.schema_version is None:
        return
    old, new = (
        tuple(map(int, numbers.split("."))) for numbers in (current.schema_version, version)
    )
    changes = list(schema_changes(current.tables, declared))
    if new < old:
        raise ReleaseRefusedError(
            f"SCHEMA_VERSION is {version}, and the current release {current.release_id} has "
            f"{current.schema_version} already: it must not decrease"
        )
    if sudden := [
        change for change in changes if not change.announced and change.table not in approved
    ]:
        tables = json.dumps(sorted({change.table for change in sudden} | set(approved)))
        raise ReleaseRefusedError(
            f"{'; '.join(change.what for change in sudden)}: readers of {current.release_id} were "
            "given no notice. Publish a release first in which genept/schema/tables marks it as "
            'deprecated="what to read instead". If this installation skipped the version that did '
            f"so, tell its readers, and run once with {SETTING}='{tables}'"
        )
    for place, needs in enumerate(("major", "minor")):
        breaking = [change.what for change in changes if change.needs == needs]
        if breaking and new[: place + 1] <= old[: place + 1]:
            least = (*old[:place], old[place] + 1, *([0] * (2 - place)))
            raise ReleaseRefusedError(
                f"{'; '.join(breaking)}: raise SCHEMA_VERSION in genept/schema/tables from "
                f"{current.schema_version} to {'.'.join(map(str, least))} at least"
            )


def _table_changes(released: ReleasedTable, table: Table) -> Iterator[SchemaChange]:
    declared = {column.name: column for column in ReleasedColumn.of(table)}
    change = partial(SchemaChange, table.name)
    noticed = released.deprecated is not None
    if (released.key, released.partition) != (table.key, table.partition):
        yield change(f"{table.name} has another key or partition", "major", noticed)
    for old in released.columns:
        where = f"{table.name}.{old.name}"
        announced = noticed or old.deprecated is not None
        if old.name not in declared:
            yield change(f"{where} is gone", "major", announced)
            continue
        new = declared.pop(old.name)
        for what, was, now in (("type", old.type, new.type), ("unit", old.unit, new.unit)):
            if was != now:
                known = announced or RESTATED.get(str(was)) == now
                yield change(f"{where} changes its {what}: {was} → {now}", "major", known)
        if new.nullable and not old.nullable:
            yield change(f"{where} may be empty now", "major", announced)
        if old.allowed and (added := sorted(set(new.allowed or ()) - set(old.allowed))):
            yield change(f"{where} may be {', '.join(added)}, too", "minor")
    for name in declared:
        yield change(f"{table.name}.{name} is new", "minor")
