"""Partitions of the steps that run for one collection, space or model, and the tables they build.

A published table is one asset without partitions, assembled from the parts of these steps. A step
stores its parts in the lake, where the table's asset finds them; the event log records their
partition.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final

import dagster as dg

from assets.results import DATA_VERSION
from genept.storage import Lake, Part, StoredTable, sha256_of

COLLECTIONS: Final = dg.DynamicPartitionsDefinition(name="collection")
"""One partition per collection: shipped, added by hand, or dropped into the inbox."""

SPACES: Final = dg.DynamicPartitionsDefinition(name="space")
"""One partition per space: a new recipe, embedder or registered table is a new one."""

MODELS: Final = dg.DynamicPartitionsDefinition(name="model")
"""One partition per model that is trained."""

COLLECTIONS_IN_SPACES: Final = dg.MultiPartitionsDefinition(
    {"collection": COLLECTIONS, "space": SPACES}
)
"""One partition per collection and space."""

VERSION_OF: Final = "data version of "
"""Prefix of the metadata of a materialised partition that hold its data version in each table."""

ROWS: Final = "dagster/partition_row_count"

PartitionTables = Mapping[str, StoredTable]
"""Output of a step for one partition: by table, that table's parts of the partition."""


def along(dimension: str) -> dg.AssetIn:
    """Input of a step of one collection in one space: the partition of its own collection or space.

    Parameters
    ----------
    dimension
        ``collection`` or ``space``.
    """
    with warnings.catch_warnings():
        # Called beta in the whole of Dagster 1.13, to which we are pinned.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.AssetIn(partition_mapping=dg.MultiToSingleDimensionPartitionMapping(dimension))


def key_of(collection: str, space: str) -> dg.MultiPartitionKey:
    """The partition of a collection in a space."""
    return dg.MultiPartitionKey({"collection": collection, "space": space})


def collection_of(context: dg.AssetExecutionContext) -> str:
    """The collection of a step of one collection in one space."""
    key = context.partition_key
    if not isinstance(key, dg.MultiPartitionKey):
        raise TypeError(f"partition {key!r} is of one dimension; expected collection and space")
    return key.keys_by_dimension["collection"]


def partition_result(
    lake: Lake, parts: Sequence[Part], **metadata: Any
) -> dg.MaterializeResult[PartitionTables]:
    """Result of a step for one partition: its parts, by table."""
    tables = {name: lake.assemble(name, parts) for name in _tables(parts)}
    return dg.MaterializeResult(
        value=tables,
        data_version=dg.DataVersion(_version(tables)),
        metadata=_facts(tables) | metadata,
    )


def record_partitions(
    context: dg.AssetExecutionContext,
    lake: Lake,
    asset: dg.AssetKey,
    parts_by_partition: Mapping[str, Sequence[Part]],
) -> None:
    """Record the parts that the asset of a table built, by partition, unless they are recorded.

    A run that builds everything has one step per table. Its partitions count as materialised all
    the same, each with the version of its own content.
    """
    recorded: dict[str | None, str] = {}
    records = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset, asset_partitions=list(parts_by_partition)),
        limit=4 * len(parts_by_partition) + 100,
    ).records
    for materialization in (record.asset_materialization for record in reversed(records)):
        if materialization is not None:
            tags = materialization.tags or {}
            recorded[materialization.partition] = tags.get(DATA_VERSION, "")
    for partition, parts in parts_by_partition.items():
        version = _version(_tables(parts))
        if recorded.get(partition) != version:
            metadata = partition_result(lake, parts).metadata
            context.log_event(
                dg.AssetMaterialization(
                    asset, partition=partition, metadata=metadata, tags={DATA_VERSION: version}
                )
            )


def is_readable(materialization: dg.AssetMaterialization) -> bool:
    """Whether the event log says what the partition holds; earlier versions did not record it."""
    return ROWS in materialization.metadata


def read_partition(lake: Lake, materialization: dg.AssetMaterialization) -> PartitionTables:
    """Tables of a materialised partition, read from the lake by the versions in the event log."""
    return {
        name.removeprefix(VERSION_OF): lake.table(name.removeprefix(VERSION_OF), str(version.value))
        for name, version in materialization.metadata.items()
        if name.startswith(VERSION_OF)
    }


def _tables(parts: Sequence[Part]) -> PartitionTables:
    names = {part.table: None for part in parts}
    return {name: StoredTable.of(name, parts) for name in names}


def _version(tables: PartitionTables) -> str:
    return sha256_of({name: table.data_version for name, table in tables.items()})


def _facts(tables: PartitionTables) -> dict[str, Any]:
    return {
        ROWS: max((table.rows for table in tables.values()), default=0),
        "bytes": sum(table.bytes for table in tables.values()),
        **{f"rows of {name}": table.rows for name, table in tables.items()},
        **{f"{VERSION_OF}{name}": table.data_version for name, table in tables.items()},
    }
