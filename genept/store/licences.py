"""Whose terms a stored part is under: the mark of a collection goes with all that is made of it.

What a collection's terms are is declared in the catalogue and stands in table
`collections`; those of a registered space stand in the origin of its vectors. What a
release does about them is `genept.store.release`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from genept.store.errors import StoreError
from genept.store.lake import Lake, Part, StoredTable
from genept.tables import TABLES


class LicenceError(StoreError):
    """A release would pass on what its licence does not allow to be passed on."""


@dataclass(frozen=True)
class Restricted:
    """Collections and spaces that may not be redistributed."""

    collections: frozenset[str]
    spaces: frozenset[str]

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, sorted."""
        return tuple(sorted(self.collections | self.spaces))

    def holds(self, lake: Lake, part: Part) -> bool:
        """Whether a part has data of one of them, or numbers made of it."""
        return space_of(part) in self.spaces or bool(self.collections & collections_in(lake, part))


def restricted(lake: Lake, tables: Mapping[str, StoredTable]) -> Restricted:
    """What may not be redistributed among what these tables hold."""
    collections: frozenset[str] = frozenset()
    if tables["collections"].parts:
        terms = lake.read(tables["collections"], ["collection_id", "redistributable"])
        collections = frozenset(terms.filter(~pl.col("redistributable"))["collection_id"])
    spaces = {
        space_of(part)
        for table in tables.values()
        for part in table.parts
        if part.origin.get("settings", {}).get("redistributable") is False
    }
    return Restricted(collections, frozenset(one for one in spaces if one))


def space_of(part: Part) -> str | None:
    """The space that the vectors of a part are in; none for a part without vectors."""
    table = TABLES[part.table]
    if table.vector is None or "space" not in table.partition:
        return None
    return part.partition[table.partition.index("space")]


def collections_in(lake: Lake, part: Part) -> frozenset[str]:
    """The collections whose data, or numbers made of it, a part holds."""
    table = TABLES[part.table]
    if table.collection is None:
        return frozenset()
    if table.collection in table.partition:
        return frozenset({part.partition[table.partition.index(table.collection)]})
    return frozenset(lake.read(part, [table.collection])[table.collection].unique())


def passed_on(
    lake: Lake, tables: Mapping[str, StoredTable], policy: str
) -> tuple[dict[str, StoredTable], tuple[str, ...]]:
    """Tables as a release of this policy holds them, and what was left out.

    A part that holds anything of a restricted collection or space is left out whole.

    Raises
    ------
    LicenceError
        If the policy is to refuse, and there is something to refuse.
    """
    if policy == "keep":
        return dict(tables), ()
    found = restricted(lake, tables)
    if found.names and policy == "refuse":
        raise LicenceError(
            f"{', '.join(found.names)} may not be redistributed, by the catalogue or by what was "
            "said when it was registered; publish without them (GENEPT_RESTRICTED=leave_out), or "
            "keep the release to yourself (GENEPT_RESTRICTED=keep)"
        )
    kept = {
        name: lake.assemble(name, [part for part in table.parts if not found.holds(lake, part)])
        for name, table in tables.items()
    }
    return kept, found.names
