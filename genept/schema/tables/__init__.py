"""Every published table, declared once: columns, types, units, keys, bounds, meaning.

Parquet schemas, quality checks, the data dictionary and the column schemas in the Dagster UI are
all made from these declarations. Nothing else describes a column; nothing here reads or writes
one. Import tables from this package, not from its modules.
"""

from __future__ import annotations

from typing import Final

from genept.schema.columns import Table
from genept.schema.tables.benchmark_tables import BENCHMARK_TABLES, BENCHMARK_WORKING
from genept.schema.tables.collection_tables import (
    COLLECTION_TABLES,
    COLLECTION_WORKING,
    EMBEDDING_TABLES,
)
from genept.schema.tables.fields import REASONS
from genept.schema.tables.gene_tables import GENE_SNAPSHOTS, GENE_TABLES, TEXT_TABLES
from genept.schema.tables.model_tables import MODEL_TABLES, MODEL_WORKING

__all__ = ["GENE_SNAPSHOTS", "REASONS", "SCHEMA_VERSION", "STORED", "TABLES", "WORKING_TABLES"]


SCHEMA_VERSION: Final = "1.3.0"
"""Version of these declarations: major for what breaks a reader, minor for what is added. A release
that changes more than this says is refused. See docs/decisions/0008-schema-version.md."""


_TABLES: tuple[Table, ...] = (
    COLLECTION_TABLES[0],
    *GENE_TABLES,
    *COLLECTION_TABLES[1:],
    *TEXT_TABLES,
    *EMBEDDING_TABLES,
    *BENCHMARK_TABLES,
    *MODEL_TABLES,
)


TABLES: Final[dict[str, Table]] = {table.name: table for table in _TABLES}
"""All published tables by name, in the order in which they are built on one another."""


WORKING_TABLES: Final[dict[str, Table]] = {
    table.name: table for table in (*COLLECTION_WORKING, *BENCHMARK_WORKING, *MODEL_WORKING)
}
"""Tables that never leave the lake: results that an interrupted run can reuse, and run metrics."""


STORED: Final = TABLES | WORKING_TABLES | {GENE_SNAPSHOTS.name: GENE_SNAPSHOTS}
"""All tables that the lake holds, by name."""
