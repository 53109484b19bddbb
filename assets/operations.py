"""Whether inputs changed, who may publish, and what every run cost (group `operations`).

Costs are read from Dagster's event log.
"""

import base64
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`
import polars as pl

from assets.results import DATA_VERSION, bullets, described
from assets.sources import observed_sources, source_key
from genept.client import InputVersions, Platform, read_input_versions
from genept.release import RunState, cost_by_run, cost_picture, keep_metrics, metrics_frame
from genept.schema.tables import WORKING_TABLES
from genept.storage import Lake, StoredTable, input_changes, sha256_of

NIGHTLY = dg.DailyPartitionsDefinition("2026-01-01", timezone="UTC")
"""One partition per nightly run, so that a missed run is repeated."""


WATCHED = [spec.key for assets in observed_sources for spec in assets.specs]

NEWS = dg.AssetKey("news")

RELEASE = dg.AssetKey("published_release")

RELEASES_READ = 20
"""Number of the newest releases among which the last nightly run is looked for."""


@dg.asset(
    key=NEWS,
    partitions_def=NIGHTLY,
    deps=WATCHED,
    output_required=False,
    **described(
        "sources",
        "What changed since the last successful nightly run: sources, code, settings, added "
        "collections. Materialised only if something did; otherwise nothing below it is built.",
        {"input": "A source, the code, a setting …", "version": "Its hash, or its value."},
        kinds=["python"],
    ),
)
def news(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> Iterator[dg.MaterializeResult[None]]:
    """Read the versions of all inputs of a release, and list those that changed."""
    versions = read_input_versions(platform)
    _observe(context, versions)
    before, failure = _last_nightly_run(context.instance)
    reasons = [failure] if failure else input_changes(before, versions.inputs)
    if platform.releases.current_id() is None:
        reasons.insert(0, "nothing has been released yet")
    partition = context.partition_key if context.has_partition_key else None
    facts = {
        "nightly run": partition or "none",
        "requests": versions.requests,
        "unavailable": bullets(
            f"{name}: {reason}" for name, reason in versions.unavailable.items()
        ),
    }
    if not reasons:
        remark = f"none of {len(versions.inputs)} inputs changed; nothing is built"
        context.log.info(remark)
        context.log_event(
            dg.AssetObservation(NEWS, partition=partition, description=remark, metadata=facts)
        )
        return
    context.log.info("changed: %s", "; ".join(reasons))
    yield dg.MaterializeResult(
        data_version=dg.DataVersion(sha256_of(dict(versions.inputs))),
        metadata=facts
        | {
            "changes": bullets(reasons),
            "inputs": dg.MetadataValue.json(dict(versions.inputs)),
            "dagster/row_count": len(versions.inputs),
        },
    )


def claim_for(platform: Platform, instance: dg.DagsterInstance, run_id: str) -> None:
    """Claim the right to publish for a run; see `genept.release.fencing`."""
    platform.claim.take(run_id, partial(_state, instance))


def _observe(context: dg.AssetExecutionContext, versions: InputVersions) -> None:
    """Log an observation of every watched source, with its version."""
    for name, version in versions.sources.items():
        if (key := source_key(name)) in WATCHED and ":" not in name:
            state = {"unavailable": versions.unavailable.get(name, "no")}
            context.log_event(
                dg.AssetObservation(key, tags={DATA_VERSION: version}, metadata=state)
            )


def _last_nightly_run(instance: dg.DagsterInstance) -> tuple[dict[str, str], str | None]:
    """Inputs of the last nightly run with changes, or why they do not count."""
    records = instance.fetch_materializations(NEWS, limit=1).records
    if not records:
        return {}, "there was no nightly run yet"
    released = instance.fetch_materializations(RELEASE, limit=RELEASES_READ).records
    if records[0].run_id not in {record.run_id for record in released}:
        return {}, f"the last nightly run failed (run {records[0].run_id})"
    materialization = records[0].asset_materialization
    inputs = materialization.metadata["inputs"].value if materialization else {}
    return dict(inputs if isinstance(inputs, dict) else json.loads(str(inputs))), None


def _state(instance: dg.DagsterInstance, run_id: str) -> RunState:
    """State of a run; a run that this instance does not know counts as given up."""
    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished:
        return "at work"
    return "done" if run is not None and run.is_success else "given up"


METRICS = dg.AssetKey("run_metrics")

PARTITION = "dagster/partition"

RUNS_PER_PAGE = 100
"""Runs that are read from the event log at a time: the newest."""


SUMMED = ("bytes", "tokens")


@dg.asset(
    key=METRICS,
    deps=[RELEASE],
    **described(
        "operations",
        WORKING_TABLES["run_metrics"].meaning + " A working table: it is not released.",
        "run_metrics",
    ),
)
def run_metrics(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]
) -> dg.MaterializeResult[None]:
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
    picture = base64.b64encode(cost_picture(pl.concat([*frames, current]))).decode()
    totals = cost_by_run(current).row(0, named=True)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(stored.data_version),
        metadata={
            "dagster/row_count": stored.rows,
            "runs": len(parts),
            "cost per run": dg.MetadataValue.md(f"![cost](data:image/png;base64,{picture})"),
            **{f"this run/{name}": totals[name] or 0 for name in ("seconds", "bytes", "tokens")},
        },
    )


def _rows(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[dict[str, Any]]:
    """One row per step of a run, in the columns of table `run_metrics`."""
    materialised = _materialised(instance, run.run_id)
    rows: list[dict[str, Any]] = []
    for step in instance.get_run_step_stats(run.run_id):
        events = materialised.get(step.step_key, [])
        tables = [event for event in events if "parts" in event.metadata]
        started, ended = step.start_time, step.end_time
        rows.append(
            {
                "run_id": run.run_id,
                "job": run.job_name,
                "night": run.tags.get(PARTITION),
                "outcome": "failure" if run.is_failure_or_canceled else "success",
                "step": step.step_key,
                "assets": [event.asset_key.to_user_string() for event in events],
                "ended": step.status.value.lower() if step.status else "under_way",
                "started_at": _timestamp(started),
                "seconds": ended - started if started and ended else None,
                "rows": _sum(tables, "dagster/row_count"),
                **{name: _sum(tables, name) for name in SUMMED},
                "peak_memory": max(_numbers(events, "peak_memory"), default=None),
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


def _numbers(events: Sequence[dg.AssetMaterialization], name: str) -> list[int]:
    values = [event.metadata[name].value for event in events if name in event.metadata]
    return [int(value) for value in values if isinstance(value, int | float)]


def _sum(events: Sequence[dg.AssetMaterialization], name: str) -> int | None:
    numbers = _numbers(events, name)
    return sum(numbers) if numbers else None


def _timestamp(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
