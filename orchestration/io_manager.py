"""The parquet IO manager: passes tables of the lake from asset to asset.

The lake writes and verifies parquet. This module only finds a table again: an asset's
data version in Dagster's event log is the table's data version in the lake.
"""

from __future__ import annotations

import dagster as dg
from dagster._core.definitions.data_version import extract_data_version_from_entry

from assets import claim_for
from genept.client import Platform
from genept.common import StoreError
from genept.storage import StoredTable
from orchestration.run_metrics import METER


class LakeIOManager(dg.IOManager):
    """Passes `StoredTable` from asset to asset by data version."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        METER.begin()

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Refuse any output but the asset's own table, whose parts are in the lake already.

        The first table of a run claims the right to publish for it. Each table records the
        tokens and the peak memory of its step so far.
        """
        if obj is None:
            return
        name = context.asset_key.path[-1]
        if not isinstance(obj, StoredTable) or obj.table != name:
            raise TypeError(f"asset {name!r} returned {obj!r}; return its table, built by the lake")
        claim_for(self.platform, context.step_context.instance, context.run_id)
        context.add_output_metadata({"tokens": METER.tokens, "peak_memory": METER.peak_memory})
        METER.begin()  # a run of single assets has no logger that notes when its next step begins

    def load_input(self, context: dg.InputContext) -> StoredTable:
        """The table as its asset was last materialised.

        Raises
        ------
        StoreError
            It was never materialised; or a step of this run failed, and the executor is Dask's,
            which starts the steps downstream of a failed one all the same.
        """
        if self.platform.settings.executor == "dask":
            _refuse_after_failure(context)
        event = context.instance.get_latest_materialization_event(context.asset_key)
        version = extract_data_version_from_entry(event) if event is not None else None
        if version is None:
            raise StoreError(
                f"{context.asset_key.to_user_string()} was never materialised: materialise it first"
            )
        return self.platform.lake.table(context.asset_key.path[-1], version.value)


def _refuse_after_failure(context: dg.InputContext) -> None:
    run_id = context.step_context.run_id
    failed = context.instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    if failed:
        raise StoreError(
            f"step {failed[0].step_key} of this run failed: nothing is built on what was there "
            "before; fix the cause and run again"
        )
