"""Group `operations`, continued: what every run cost, read from Dagster's event log.

The asset comes last in every job that publishes. A night without news does not reach it; the
next one with news keeps the numbers of both.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`
import polars as pl

from assets.operations import RELEASE
from assets.results import OWNERS, column_schema
from genept.costs import cost_by_run, cost_picture, keep_metrics, metrics_frame
from genept.platform import Platform
from genept.store.lake import StoredTable
from genept.tables import WORKING_TABLES

METRICS = dg.AssetKey("run_metrics")
PARTITION = "dagster/partition"
READ = 100
"""Runs that are read from the event log at a time: the newest."""

SUMMED = ("bytes", "tokens")


@dg.asset(
    key=METRICS,
    deps=[RELEASE],
    group_name="operations",
    kinds={"parquet", "s3"},
    owners=OWNERS,
    description=WORKING_TABLES["run_metrics"].meaning + " A working table: it is not released.",
    metadata={"dagster/column_schema": column_schema("run_metrics")},
)
def run_metrics(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult[None]:
    """Keep the numbers of every run that ended, and draw what the last ones cost."""
    instance, lake = context.instance, platform.lake
    ended = instance.get_runs(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]),
        limit=READ,
    )
    parts = [
        part
        for run in ended
        for part in keep_metrics(lake, run.run_id, lambda run=run: list(_rows(instance, run)))
    ]
    stored: StoredTable = lake.assemble("run_metrics", parts)
    now = metrics_frame(list(_rows(instance, context.run)))  # not kept: it is not over
    frames = [lake.read(stored)] if parts else []
    picture = base64.b64encode(cost_picture(pl.concat([*frames, now]))).decode()
    this = cost_by_run(now).row(0, named=True)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stored.data_version),
        metadata={
            "dagster/row_count": stored.rows,
            "runs": len(parts),
            "cost per night": dg.MetadataValue.md(f"![cost](data:image/png;base64,{picture})"),
            **{f"this run/{name}": this[name] or 0 for name in ("seconds", "bytes", "tokens")},
        },
    )


def _rows(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[Mapping[str, Any]]:
    """One row per step of a run, in the columns of table `run_metrics`."""
    made = _materialised(instance, run.run_id)
    for step in instance.get_run_step_stats(run.run_id):
        events = made.get(step.step_key, [])
        tables = [event for event in events if "parts" in event.metadata]
        started, ended = step.start_time, step.end_time
        yield {
            "run_id": run.run_id,
            "job": run.job_name,
            "night": run.tags.get(PARTITION),
            "outcome": "failure" if run.is_failure_or_canceled else "success",
            "step": step.step_key,
            "assets": [event.asset_key.to_user_string() for event in events],
            "ended": step.status.value.lower() if step.status else "under_way",
            "started_at": _said(started),
            "seconds": ended - started if started and ended else None,
            "rows": _sum(tables, "dagster/row_count"),
            **{name: _sum(tables, name) for name in SUMMED},
            "peak_memory": max(_numbers(events, "peak_memory"), default=None),
        }


def _materialised(
    instance: dg.DagsterInstance, run_id: str
) -> dict[str, list[dg.AssetMaterialization]]:
    """What each step of a run made."""
    found: dict[str, list[dg.AssetMaterialization]] = {}
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        if entry.asset_materialization is not None and entry.step_key is not None:
            found.setdefault(entry.step_key, []).append(entry.asset_materialization)
    return found


def _numbers(events: Sequence[dg.AssetMaterialization], name: str) -> list[int]:
    found = [event.metadata[name].value for event in events if name in event.metadata]
    return [int(one) for one in found if isinstance(one, int | float)]


def _sum(events: Sequence[dg.AssetMaterialization], name: str) -> int | None:
    numbers = _numbers(events, name)
    return sum(numbers) if numbers else None


def _said(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
