"""The parquet IO manager: passes tables of the lake from asset to asset.

The lake writes and verifies parquet. This module only finds a table again: an asset's
data version in Dagster's event log is the table's data version in the lake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dagster as dg

from assets import DATA_VERSION, PartitionTables, claim_for, is_readable, read_partition
from genept.client import Platform
from genept.common import StoreError
from genept.storage import Part, StoredTable
from orchestration.run_metrics import METER


class LakeIOManager(dg.IOManager):
    """Passes tables, and the tables of single partitions, from asset to asset."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        METER.begin()

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Refuse any output but the asset's own table, or the tables of its partition.

        Their parts are in the lake already. The first whole table of a run claims the right to
        publish for it. Each output records the tokens and the peak memory of its step so far.
        """
        if obj is None:
            return
        name = context.asset_key.path[-1]
        if not (context.has_asset_partitions and isinstance(obj, Mapping)):
            if not isinstance(obj, StoredTable) or obj.table != name:
                raise TypeError(
                    f"asset {name!r} returned {obj!r}; return its table, built by the lake"
                )
            claim_for(self.platform, context.step_context.instance, context.run_id)
        context.add_output_metadata({"tokens": METER.tokens, "peak_memory": METER.peak_memory})
        METER.begin()  # a run of single assets has no logger that notes when its next step begins

    def load_input(self, context: dg.InputContext) -> StoredTable | PartitionTables:
        """The table as its asset was last materialised, or the tables of its partitions.

        Raises
        ------
        StoreError
            It was never materialised; or a step of this run failed, and the executor is Dask's,
            which starts the steps downstream of a failed one all the same.
        """
        if self.platform.settings.executor == "dask":
            _refuse_after_failure(context)
        name = context.asset_key.to_user_string()
        if context.has_asset_partitions:
            return self._partitions(
                context.instance, context.asset_key, context.asset_partition_keys
            )
        version = _version_of(_latest(context.instance, context.asset_key))
        if version is None:
            raise StoreError(f"{name} was never materialised: materialise it first")
        return self.platform.lake.table(context.asset_key.path[-1], version)

    def _partitions(
        self, instance: dg.DagsterInstance, asset: dg.AssetKey, keys: Sequence[str]
    ) -> PartitionTables:
        """Tables of these partitions; of several, those of the materialised ones."""
        materializations = [
            event
            for key in keys
            if (event := _latest(instance, asset, key)) is not None and is_readable(event)
        ]
        if not materializations:
            raise StoreError(
                f"{asset.to_user_string()}, partition {', '.join(keys)}, was never materialised "
                "by this version: materialise it first"
            )
        parts: dict[str, list[Part]] = {}
        for event in materializations:
            for name, table in read_partition(self.platform.lake, event).items():
                parts.setdefault(name, []).extend(table.parts)
        return {name: StoredTable(name, tuple(table_parts)) for name, table_parts in parts.items()}


def _latest(
    instance: dg.DagsterInstance, asset: dg.AssetKey, partition: str | None = None
) -> dg.AssetMaterialization | None:
    records_filter = dg.AssetRecordsFilter(
        asset, asset_partitions=[partition] if partition else None
    )
    records = instance.fetch_materializations(records_filter, limit=1).records
    return records[0].asset_materialization if records else None


def _version_of(materialization: dg.AssetMaterialization | None) -> str | None:
    return (materialization.tags or {}).get(DATA_VERSION) if materialization else None


def _refuse_after_failure(context: dg.InputContext) -> None:
    run_id = context.step_context.run_id
    failed = context.instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    if failed:
        raise StoreError(
            f"step {failed[0].step_key} of this run failed: nothing is built on what was there "
            "before; fix the cause and run again"
        )
