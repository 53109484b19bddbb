"""The inbox's sensor: it looks, names the partition, and asks for a run; nothing more.

It runs unasked, because whoever drops a file expects something to happen; a look costs one
listing, and only the daemon of `genept ui` looks at all.
"""

from __future__ import annotations

import dagster as dg

from assets.collections import COLLECTIONS, DROP, inbox_collection
from genept.collections.inbox import drops
from genept.platform import Platform

inbox_job = dg.define_asset_job(
    "inbox",
    selection=dg.AssetSelection.assets(inbox_collection),
    description="Takes one file of the inbox in, or puts it in quarantine with a report.",
    executor_def=dg.in_process_executor,
)


@dg.sensor(
    job=inbox_job,
    name="inbox",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="A file with its sidecar under {product}/inbox/ becomes a partition and a run.",
)
def inbox_sensor(platform: dg.ResourceParam[Platform]) -> dg.SensorResult | dg.SkipReason:
    """Ask for a run for every complete drop; each version of a drop is asked for once."""
    found, waiting = drops(platform.store, platform.settings.product)
    if not found:
        half = f"; these wait for their other half: {', '.join(waiting[:8])}" if waiting else ""
        return dg.SkipReason(f"no complete drop in the inbox{half}")
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=f"{drop.name}@{drop.version}",
                partition_key=drop.id,
                tags={DROP: drop.name},
            )
            for drop in found
        ],
        dynamic_partitions_requests=[
            COLLECTIONS.build_add_request(sorted({drop.id for drop in found}))
        ],
    )
