"""Results of assets as Dagster records them: tables, and those of one partition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import dagster as dg

from assets.declarations import TYPES
from genept.client import Platform
from genept.common import markdown_text
from genept.schema import column_origins
from genept.storage import Lake, Part, StoredTable, sha256_of

DATA_VERSION: Final = "dagster/data_version"
"""Tag of an event that says which content it is about."""

VERSION_OF: Final = "data version of "
"""Prefix of the metadata of a materialised partition that hold its data version in each table."""

ROWS: Final = "dagster/partition_row_count"

PartitionTables = Mapping[str, StoredTable]
"""Output of a step for one partition: by table, that table's parts of the partition."""

Context = dg.AssetExecutionContext
PlatformResource = dg.ResourceParam[Platform]
TableResult = dg.MaterializeResult[StoredTable]
TableResults = Iterator[TableResult]
PartitionResult = dg.MaterializeResult[PartitionTables]


def bullets(lines: Iterable[object]) -> dg.MarkdownMetadataValue:
    """A list in Markdown, of text that is shown literally."""
    return dg.MetadataValue.md("\n".join(f"- {markdown_text(line)}" for line in lines) or "none")


def table_result(stored: StoredTable, **metadata: Any) -> TableResult:
    """A materialised table: rows and bytes of every part, and its data version.

    Where the parts lie is in the table's record in the lake; people read releases.
    """
    records = [
        dg.TableRecord(
            {"partition": "/".join(part.partition) or "whole"}
            | {"rows": part.rows, "bytes": part.bytes}
        )
        for part in stored.parts
    ]
    columns = [dg.TableColumn(name, TYPES.get(name, "string")) for name in ("partition", *TYPES)]
    lineage = {
        column: [dg.TableColumnDep(dg.AssetKey(table), source) for table, source in origins]
        for column, origins in column_origins(stored.table).items()
    }
    return dg.MaterializeResult(
        asset_key=stored.table,
        value=stored,
        data_version=dg.DataVersion(stored.data_version),
        metadata={
            "dagster/row_count": stored.rows,
            "bytes": stored.bytes,
            "parts": dg.MetadataValue.table(records, dg.TableSchema(columns)),
            **({"dagster/column_lineage": dg.TableColumnLineage(lineage)} if lineage else {}),
            **metadata,
        },
    )


def table_results(
    lake: Lake, names: Iterable[str], parts: Sequence[Part], **metadata: Any
) -> TableResults:
    """The tables of a multi-asset, assembled of `parts`, with the same remarks on each."""
    for name in names:
        yield table_result(lake.assemble(name, parts), **metadata)


def version_of(parts: Sequence[Part]) -> str:
    """Data version of the parts of a partition, of any tables."""
    names = {part.table for part in parts}
    return sha256_of({name: StoredTable.of(name, parts).data_version for name in names})


def partition_result(lake: Lake, parts: Sequence[Part], **metadata: Any) -> PartitionResult:
    """Result of a step for one partition: its parts, by table."""
    tables = {
        name: lake.assemble(name, parts) for name in dict.fromkeys(part.table for part in parts)
    }
    return dg.MaterializeResult(
        value=tables,
        data_version=dg.DataVersion(version_of(parts)),
        metadata={
            ROWS: max((table.rows for table in tables.values()), default=0),
            "bytes": sum(table.bytes for table in tables.values()),
            **{f"rows of {name}": table.rows for name, table in tables.items()},
            **{f"{VERSION_OF}{name}": table.data_version for name, table in tables.items()},
            **metadata,
        },
    )
