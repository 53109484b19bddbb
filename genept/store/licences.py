"""Whose terms a stored part is under: the mark of a collection goes with all that is made of it.

What a collection's terms are is declared in the catalogue and stands in table
`collections`; what a release does about them is `genept.store.release`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from genept.store.errors import StoreError
from genept.store.lake import Lake, Part, StoredTable
from genept.tables import TABLES


class LicenceError(StoreError):
    """A release would pass on what its licence does not allow to be passed on."""


def restricted_collections(lake: Lake, tables: Mapping[str, StoredTable]) -> frozenset[str]:
    """Collections that may not be redistributed."""
    terms = lake.read(tables["collections"], ["collection_id", "redistributable"])
    return frozenset(terms.filter(~pl.col("redistributable"))["collection_id"])


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
    """Tables as a release of this policy holds them, and the collections that were left out.

    A part that holds anything of a restricted collection is left out whole.

    Raises
    ------
    LicenceError
        If the policy is to refuse, and there is something to refuse.
    """
    if policy == "keep":
        return dict(tables), ()
    restricted = restricted_collections(lake, tables)
    if restricted and policy == "refuse":
        raise LicenceError(
            f"{', '.join(sorted(restricted))} may not be redistributed, by the catalogue; publish "
            "without them (GENEPT_RESTRICTED=leave_out), or keep the release to yourself "
            "(GENEPT_RESTRICTED=keep)"
        )
    kept = {
        name: lake.assemble(
            name, [part for part in table.parts if not restricted & collections_in(lake, part)]
        )
        for name, table in tables.items()
    }
    return kept, tuple(sorted(restricted))
