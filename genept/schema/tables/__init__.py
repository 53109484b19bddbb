"""Every published table, declared once: columns, types, units, keys, bounds, meaning.

Parquet schemas, quality checks, the data dictionary and the column schemas in the Dagster UI are
all made from these declarations. Nothing else describes a column; nothing here reads or writes
one. Import tables and shared columns from this package, not from its modules.
"""

from __future__ import annotations

from typing import Final

from genept.schema.columns import Table
from genept.schema.tables.benchmark_tables import (
    BENCHMARK_TABLES,
    COMPARED,
    CONFUSED,
    DATASET,
    DIFFERENCE,
    PROGRAM,
)
from genept.schema.tables.collection_tables import COLLECTION_TABLES
from genept.schema.tables.embedding_tables import EMBEDDING_TABLES, TEXT_TABLES
from genept.schema.tables.fields import (
    ANSWERER,
    COLLECTION,
    DIAGNOSED,
    DRUG,
    FATE,
    FLAG,
    FLOAT,
    FOLD,
    GENE,
    HGNC_ID_OR_NONE,
    INT,
    MEANING,
    METHOD,
    METRIC,
    MODEL,
    MODEL_VERSION,
    OBSERVATION,
    OUTCOMES,
    POSITION,
    PREDICTED,
    REASONS,
    RECIPE,
    REFERENCE,
    REPRESENTATION,
    SHA256,
    SPACE,
    SPLIT,
    SYMBOL,
    TASK,
    TEXT,
    TEXTS,
    UTC_TIME,
    VALUE_WITH_INTERVAL,
)
from genept.schema.tables.gene_tables import GENE_SNAPSHOTS, GENE_TABLES
from genept.schema.tables.model_tables import MODEL_TABLES
from genept.schema.tables.working_tables import WORKING_TABLES
from genept.schema.units import UNITS

__all__ = [
    "ANSWERER",
    "BENCHMARK_TABLES",
    "COLLECTION",
    "COLLECTION_TABLES",
    "COMPARED",
    "CONFUSED",
    "DATASET",
    "DIAGNOSED",
    "DIFFERENCE",
    "DRUG",
    "EMBEDDING_TABLES",
    "FATE",
    "FLAG",
    "FLOAT",
    "FOLD",
    "GENE",
    "GENE_SNAPSHOTS",
    "GENE_TABLES",
    "HGNC_ID_OR_NONE",
    "INT",
    "MEANING",
    "METHOD",
    "METRIC",
    "MODEL",
    "MODEL_TABLES",
    "MODEL_VERSION",
    "OBSERVATION",
    "OUTCOMES",
    "POSITION",
    "PREDICTED",
    "PROGRAM",
    "REASONS",
    "RECIPE",
    "REFERENCE",
    "REPRESENTATION",
    "SCHEMA_VERSION",
    "SHA256",
    "SPACE",
    "SPLIT",
    "STORED",
    "SYMBOL",
    "TABLES",
    "TASK",
    "TEXT",
    "TEXTS",
    "TEXT_TABLES",
    "UNITS",
    "UTC_TIME",
    "VALUE_WITH_INTERVAL",
    "WORKING_TABLES",
]


SCHEMA_VERSION: Final = "1.3.0"
"""Of these declarations: major for what breaks a reader, minor for what is added; a release that
changes more than this says is refused. See docs/decisions/0008-schema-version.md."""


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


STORED: Final = TABLES | WORKING_TABLES | {GENE_SNAPSHOTS.name: GENE_SNAPSHOTS}
"""All tables that the lake holds, by name."""
