"""How declarations may change from one release to the next, and what their version must say.

A reader's query must not break unannounced. The policy and its reasons are in
docs/decisions/0008-schema-version.md; what the columns are is `genept.tables`' business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from genept.declaration import Table
from genept.store.manifest import Manifest, ReleasedColumn, ReleasedTable
from genept.store.staging import ReleaseRefusedError
from genept.tables import SCHEMA_VERSION, TABLES

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
            'release in which genept/tables.py marks it as deprecated="what to read instead" '
            "first"
        )
    for needs in ("major", "minor"):
        asking = [one.what for one in changes if one.needs == needs]
        place = 0 if needs == "major" else 1
        if asking and new[: place + 1] <= old[: place + 1]:
            least = (*old[:place], old[place] + 1, *([0] * (2 - place)))
            raise ReleaseRefusedError(
                f"{'; '.join(asking)}: raise SCHEMA_VERSION in genept/tables.py from "
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
