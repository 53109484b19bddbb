"""What every asset declares: its description, columns, code, owners; its inputs and its pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dagster as dg

from genept.schema.tables import STORED
from genept.storage import code_version

EMBEDDING: Final = "embedding"
"""Pool of text embedders: one metered account, or all cores of the machine."""

MEMORY: Final = "memory"
"""Pool of steps that hold a collection's expression, or all vectors, in memory."""

EVALUATION_INPUTS: Final = ("observations", "gene_axis", "expression")
"""Tables that every evaluation reads besides the embeddings of a collection's kind."""

CODE: Final[Mapping[str, tuple[str, ...]]] = {
    "sources": ("genept.client", "genept.datasources.download"),
    "nomenclature": ("genept.datasources", "genept.nomenclature", "genept.schema"),
    "collections": ("genept.collections", "genept.datasources", "genept.nomenclature"),
    "text": ("genept.datasources", "genept.text", "genept.schema"),
    "embeddings": ("genept.embeddings", "genept.schema"),
    "benchmarks": ("genept.benchmarks", "genept.embeddings", "genept.schema"),
    "perturbations": ("genept.datasources", "genept.perturbations", "genept.schema"),
    "models": ("genept.models", "genept.embeddings", "genept.schema"),
    "language_models": ("genept.language_models", "genept.schema"),
    "release": ("genept.release", "genept.schema", "validation"),
    "operations": ("assets.operations",),
}
"""Packages that decide what the assets of a group hold: when they change, those show as stale."""

TYPES: Final = {"rows": "int", "bytes": "int"}
"""Types of columns of undeclared tables that do not hold text."""


def column_schema(columns: str | Mapping[str, str]) -> dg.TableSchema:
    """Columns of a declared table; or of another: the meaning of each column by its name."""
    if not isinstance(columns, str):
        return dg.TableSchema(
            [
                dg.TableColumn(name, TYPES.get(name, "string"), description=meaning)
                for name, meaning in columns.items()
            ]
        )
    return dg.TableSchema(
        [
            dg.TableColumn(
                column.name,
                column.type_name,
                description=column.meaning + (f" Unit: {column.unit}." if column.unit else ""),
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable, unique=(column.name,) == STORED[columns].key
                ),
            )
            for column in STORED[columns].columns
        ]
    )


def described(
    group: str,
    description: str,
    columns: str | Mapping[str, str],
    kinds: Sequence[str] = ("parquet", "s3"),
    **metadata: Any,
) -> dict[str, Any]:
    """Arguments of `dg.asset` that every asset has; `columns` as in `column_schema`."""
    return {
        "group_name": group,
        "description": description,
        "kinds": set(kinds),
        "owners": ["team:genept"],
        "code_version": code_version(*CODE[group]),
        "metadata": {"dagster/column_schema": column_schema(columns), **metadata},
    }


def declared(name: str) -> dict[str, Any]:
    """Arguments of `dg.asset` that a table's declaration gives."""
    return {"name": name, **_of_table(name)}


def declared_outs(names: Sequence[str]) -> dict[str, dg.AssetOut]:
    """Argument `outs` of a multi-asset that builds these tables."""
    return {name: dg.AssetOut(key=name, **_of_table(name)) for name in names}


def _of_table(name: str) -> dict[str, Any]:
    table = STORED[name]
    return described(table.group, table.meaning, name, key=", ".join(table.key))


def inputs(*names: str) -> dict[str, dg.AssetIn]:
    """Argument `ins` of an asset that reads these tables."""
    return dict.fromkeys(names, dg.AssetIn())
