"""Whose terms a stored part is under: the mark of a collection goes with all that is made of it.

So does the mark of vectors that another model made of a collection, and of a registered space.
Terms are declared where a thing is declared, and stand in tables `collections` and
`embedding_origins`, those of a space in the origin of its vectors; what a release does about them
is `genept.store.release`'s business.
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
    """What may not be redistributed.

    Parameters
    ----------
    collections
        Whole collections.
    spaces
        Whole registered spaces.
    vectors
        Space and collection of outside vectors, and of ensembles of them, in other collections.
    """

    collections: frozenset[str]
    spaces: frozenset[str]
    vectors: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, lake: Lake, tables: Mapping[str, StoredTable]) -> Restricted:
        """What the tables of a release say."""
        collections = _not_passed_on(lake, tables["collections"], ["collection_id"])
        vectors = _not_passed_on(lake, tables["embedding_origins"], ["space", "collection_id"])
        spaces = {
            space_of(part)
            for table in tables.values()
            for part in table.parts
            if part.origin.get("settings", {}).get("redistributable") is False
        }
        return cls(
            frozenset(one for (one,) in collections),
            frozenset(one for one in spaces if one),
            frozenset((space, of) for space, of in vectors if (of,) not in collections),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Collections, spaces, and vectors as ``space of collection``."""
        vectors = (f"{space} of {of}" for space, of in self.vectors)
        return (*sorted(self.collections | self.spaces), *sorted(vectors))

    def marks(self, lake: Lake, part: Part) -> bool:
        """Whether a part holds any of it, or numbers made of it."""
        return (
            space_of(part) in self.spaces
            or bool(self.collections & collections_in(lake, part))
            or self._is_made_of(lake, part)
        )

    def _is_made_of(self, lake: Lake, part: Part) -> bool:
        table = TABLES[part.table]
        if not self.vectors or table.collection is None or table.name == "embedding_origins":
            return False
        if "space" in table.partition:
            place = dict(zip(table.partition, part.partition, strict=True))
            return (place["space"], place[table.collection]) in self.vectors
        if "representation" not in {column.name for column in table.columns}:
            return False
        seen = lake.read(part, [table.collection, "representation"]).unique().iter_rows()
        return any(
            collection == of and name.startswith(f"{space}:")
            for collection, name in seen
            for space, of in self.vectors
        )


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
    """Tables as a release of this policy holds them, and the names of what was left out.

    A part that holds anything restricted is left out whole.

    Raises
    ------
    LicenceError
        If the policy is to refuse, and there is something to refuse.
    """
    if policy == "keep":
        return dict(tables), ()
    restricted = Restricted.of(lake, tables)
    if restricted.names and policy == "refuse":
        raise LicenceError(
            f"{', '.join(restricted.names)} may not be redistributed, as declared; publish "
            "without them (GENEPT_RESTRICTED=leave_out), or keep the release to yourself "
            "(GENEPT_RESTRICTED=keep)"
        )
    kept = {
        name: lake.assemble(
            name, [part for part in table.parts if not restricted.marks(lake, part)]
        )
        for name, table in tables.items()
    }
    return kept, restricted.names


def _not_passed_on(lake: Lake, table: StoredTable, what: list[str]) -> set[tuple[str, ...]]:
    if not table.parts:
        return set()
    terms = lake.read(table, [*what, "redistributable"])
    return set(terms.filter(~pl.col("redistributable")).select(what).iter_rows())
