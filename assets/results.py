"""What every asset of a published table has in common: its declaration and its result.

The declaration (description, column schema, group, kinds) and the metadata of a
result come from `genept.tables`, never from the asset.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg

from assets.lineage import column_lineage
from genept.platform import Platform
from genept.sources.catalogue import Collection
from genept.store.lake import StoredTable
from genept.tables import STORED, TABLES

OWNERS = ["team:genept"]
DATA_VERSION = "dagster/data_version"
"""Tag of an event that says which content it is about."""


def ingested(platform: Platform, table: StoredTable) -> list[Collection]:
    """The chosen collections that `table` holds; an added one may have been left out."""
    return [one for one in platform.collections if table.matching(one.id)]


def column_schema(name: str) -> dg.TableSchema:
    """A table's columns as the Dagster UI shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=column.type_name,
                description=column.meaning + (f" Unit: {column.unit}." if column.unit else ""),
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable, unique=(column.name,) == STORED[name].key
                ),
            )
            for column in STORED[name].columns
        ]
    )


def file_schema() -> dg.TableSchema:
    """What is recorded of a source: one file, whose own columns its parser knows."""
    return dg.TableSchema(
        [
            dg.TableColumn("file", "string", description="Name of the publisher's file."),
            dg.TableColumn("bytes", "int", description="Its size."),
            dg.TableColumn("sha256", "string", description="Hash of its content."),
            dg.TableColumn("released", "string", description="When the publisher released it."),
        ]
    )


def declared(name: str) -> dict[str, Any]:
    """Arguments of `dg.asset` that a table's declaration gives."""
    table = TABLES[name]
    return {
        "name": name,
        "group_name": table.group,
        "description": table.meaning,
        "kinds": {"parquet", "s3"},
        "owners": OWNERS,
        "metadata": {"dagster/column_schema": column_schema(name), "key": ", ".join(table.key)},
    }


def declared_outs(names: Sequence[str]) -> dict[str, dg.AssetOut]:
    """The same for the tables of a multi-asset."""
    outs = {}
    for name in names:
        arguments = declared(name)
        outs[name] = dg.AssetOut(key=arguments.pop("name"), **arguments)
    return outs


def table_result(stored: StoredTable, **metadata: Any) -> dg.MaterializeResult[StoredTable]:
    """A materialised table: rows and bytes of every part, and its data version.

    Where the parts lie is in the table's record in the lake; people read releases.
    """
    parts = [
        dg.TableRecord(
            {
                "partition": "/".join(part.partition) or "whole",
                "rows": part.rows,
                "bytes": part.bytes,
            }
        )
        for part in stored.parts
    ]
    columns = [
        dg.TableColumn(name, kind)
        for name, kind in (("partition", "string"), ("rows", "int"), ("bytes", "int"))
    ]
    lineage = column_lineage(stored.table)
    return dg.MaterializeResult(
        asset_key=stored.table,
        value=stored,
        data_version=dg.DataVersion(stored.data_version),
        metadata={
            "dagster/row_count": stored.rows,
            "bytes": stored.bytes,
            "parts": dg.MetadataValue.table(parts, dg.TableSchema(columns)),
            **({"dagster/column_lineage": lineage} if lineage else {}),
            **metadata,
        },
    )
