"""Which columns of a published table name a row of another table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from genept.schema.columns import Table
from genept.schema.tables import TABLES

ENTITIES: Final = ("collections", "observations", "genes", "drugs", "perturbation_screens")
"""Tables of things that other tables are about, by the names of their keys."""

TERMS: Final = "ontology_terms"
"""The table that columns ``…_ontology_term_id`` and ``term_id`` name a row of."""

NOT_TERMS: Final = frozenset({"cell_line_ontology_term_id"})
"""Accessions of cell lines are of Cellosaurus, of which no terms are published."""

LOOSE: Final = frozenset(
    {
        ("unmatched_vectors", "observations"),
        ("model_folds", "observations"),
        ("model_folds", "drugs"),
    }
)
"""Tables whose column may hold what is in no row: ids without an observation, and ``*``."""


@dataclass(frozen=True)
class ForeignKey:
    """Columns whose values, where they are not null, are those of a row of another table.

    Parameters
    ----------
    columns
        Names of the columns.
    table
        Name of the other table.
    referenced
        Names of its columns, in the same order.
    """

    columns: tuple[str, ...]
    table: str
    referenced: tuple[str, ...]


def foreign_keys(table: Table) -> list[ForeignKey]:
    """Find the columns of a published table that name rows of other tables.

    Parameters
    ----------
    table
        A published table.

    Returns
    -------
    list of ForeignKey
        In the order of `ENTITIES`; ontology terms last.
    """
    names = [column.name for column in table.columns]
    keys = [
        ForeignKey(TABLES[other].key, other, TABLES[other].key)
        for other in ENTITIES
        if other != table.name and {*TABLES[other].key} <= {*names}
    ]
    (term,) = TABLES[TERMS].key
    keys += [
        ForeignKey((name,), TERMS, (term,))
        for name in names
        if table.name != TERMS and _names_a_term(name, term)
    ]
    return [key for key in keys if (table.name, key.table) not in LOOSE]


def _names_a_term(name: str, term: str) -> bool:
    return name == term or (name.endswith(f"_ontology_{term}") and name not in NOT_TERMS)
