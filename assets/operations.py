"""What every run cost (group `operations`), read from Dagster's event log."""

from functools import partial
from typing import Any

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`
import polars as pl

from assets.declarations import described
from assets.news import RELEASE
from assets.results import Context
from genept.release import (
    cost_by_run,
    cost_picture,
    keep_metrics,
    metrics_frame,
    shown_pictures,
    step_costs,
)
from genept.schema.tables import WORKING_TABLES
from genept.storage import Lake, StoredTable

METRICS = dg.AssetKey("run_metrics")

PARTITION = "dagster/partition"

RUNS_PER_PAGE = 100
"""Runs that are read from the event log at a time: the newest."""


@dg.asset(
    key=METRICS,
    deps=[RELEASE],
    **described(
        "operations",
        WORKING_TABLES["run_metrics"].meaning + " A working table: it is not released.",
        "run_metrics",
    ),
)
def run_metrics(context: Context, lake: dg.ResourceParam[Lake]) -> dg.MaterializeResult[None]:
    """Store the costs of every run that ended, and draw those of the last runs."""
    instance = context.instance
    ended = instance.get_runs(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]),
        limit=RUNS_PER_PAGE,
    )
    parts = [
        part
        for run in ended
        for part in keep_metrics(lake, run.run_id, partial(_rows, instance, run))
    ]
    stored: StoredTable = lake.assemble("run_metrics", parts)
    current = metrics_frame(_rows(instance, context.run))  # not kept: it is not over
    frames = [lake.read(stored)] if parts else []
    picture = cost_picture(pl.concat([*frames, current]))
    totals = cost_by_run(current).row(0, named=True)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stored.data_version),
        metadata={
            "dagster/row_count": stored.rows,
            "runs": len(parts),
            "cost per run": dg.MetadataValue.md(shown_pictures({"cost": ("not kept", picture)})),
            **{f"this run/{name}": totals[name] or 0 for name in ("seconds", "bytes", "tokens")},
        },
    )


def _rows(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[dict[str, Any]]:
    """One row per step of a run, in the columns of table `run_metrics`."""
    materialised = _materialised(instance, run.run_id)
    rows: list[dict[str, Any]] = []
    for step in instance.get_run_step_stats(run.run_id):
        events = materialised.get(step.step_key, [])
        recorded = [
            {name: entry.value for name, entry in event.metadata.items()} for event in events
        ]
        rows.append(
            {
                "run_id": run.run_id,
                "job": run.job_name,
                "night": run.tags.get(PARTITION),
                "outcome": "failure" if run.is_failure_or_canceled else "success",
                "step": step.step_key,
                "assets": [event.asset_key.to_user_string() for event in events],
                "ended": step.status.value.lower() if step.status else "under_way",
                **step_costs(recorded, step.start_time, step.end_time),
            }
        )
    return rows


def _materialised(
    instance: dg.DagsterInstance, run_id: str
) -> dict[str, list[dg.AssetMaterialization]]:
    """Materialisations by step."""
    by_step: dict[str, list[dg.AssetMaterialization]] = {}
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        if entry.asset_materialization is not None and entry.step_key is not None:
            by_step.setdefault(entry.step_key, []).append(entry.asset_materialization)
    return by_step
