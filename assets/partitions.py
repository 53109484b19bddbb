"""Partitions of the steps that run for one collection, space or model, and the tables they build.

A published table is one asset without partitions, assembled from the parts of these steps. A step
stores its parts in the lake, where the table's asset finds them; the event log records their
partition.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Final

import dagster as dg

from assets import results
from genept.storage import Lake, Part

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


def along(dimension: str) -> dg.AssetIn:
    """Input of a step of one collection in one space: the partition of its own `dimension`."""
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
    records = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset, asset_partitions=list(parts_by_partition)),
        limit=4 * len(parts_by_partition) + 100,
    ).records
    recorded = {
        event.partition: (event.tags or {}).get(results.DATA_VERSION)
        for record in reversed(records)
        if (event := record.asset_materialization) is not None
    }
    for partition, parts in parts_by_partition.items():
        version = results.version_of(parts)
        if recorded.get(partition) != version:
            metadata = results.partition_result(lake, parts).metadata
            context.log_event(
                dg.AssetMaterialization(
                    asset,
                    partition=partition,
                    metadata=metadata,
                    tags={results.DATA_VERSION: version},
                )
            )


def is_readable(materialization: dg.AssetMaterialization) -> bool:
    """Whether the event log says what the partition holds; earlier versions did not record it."""
    return results.ROWS in materialization.metadata


def read_partition(lake: Lake, materialization: dg.AssetMaterialization) -> results.PartitionTables:
    """Tables of a materialised partition, read from the lake by the versions in the event log."""
    return {
        name: lake.table(name, str(version.value))
        for key, version in materialization.metadata.items()
        if (name := key.removeprefix(results.VERSION_OF)) != key
    }
