"""Group `operations`: whether inputs changed, who may publish, and what every run cost.

Costs are read from Dagster's event log.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`
import polars as pl

from assets.results import DATA_VERSION, OWNERS, column_schema
from assets.sources import observed_sources, source_key
from genept.client import InputVersions, Platform, read_input_versions
from genept.common import markdown_text
from genept.release import RunState, cost_by_run, cost_picture, keep_metrics, metrics_frame
from genept.schema.tables import WORKING_TABLES
from genept.storage import StoredTable

NIGHTS = dg.DailyPartitionsDefinition("2026-01-01", timezone="UTC")
"""One partition per nightly run, so that a missed one is made up for."""


NEWS = dg.AssetKey("news")

RELEASE = dg.AssetKey("published_release")

BY_HAND = 20
"""Releases without a night that may lie between two nights: more, and a night builds for nothing.
"""


@dg.asset(
    key=NEWS,
    partitions_def=NIGHTS,
    deps=[spec.key for assets in observed_sources for spec in assets.specs],
    group_name="operations",
    kinds={"python"},
    owners=OWNERS,
    output_required=False,
    description="What changed since the last night that ended well: sources, code, settings, "
    "added collections. Made only if something did; without it nothing below is built.",
    metadata={
        "dagster/column_schema": dg.TableSchema(
            [
                dg.TableColumn("input", "string", description="A source, the code, a setting …"),
                dg.TableColumn("version", "string", description="Hash of it, or its value."),
            ]
        )
    },
)
def news(
    context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
) -> Iterator[dg.MaterializeResult[None]]:
    """Read the versions of all inputs of a release, and list those that changed."""
    versions = read_input_versions(platform)
    _observe(context, versions)
    before, why = _last_nightly_run(context.instance)
    reasons = [why] if why else versions.changes_since(before)
    if platform.releases.current_id() is None:
        reasons.insert(0, "nothing has been released yet")
    facts = {
        "night": context.partition_key if context.has_partition_key else "none",
        "requests": versions.requests,
        "could not be asked": dg.MetadataValue.md(
            "\n".join(
                f"- {markdown_text(name)}: {markdown_text(why)}"
                for name, why in versions.unasked.items()
            )
            or "none"
        ),
    }
    if not reasons:
        remark = f"no news: {len(versions.inputs)} inputs are what they were; nothing is built"
        context.log.info(remark)
        night = context.partition_key if context.has_partition_key else None
        context.log_event(
            dg.AssetObservation(NEWS, partition=night, description=remark, metadata=facts)
        )
        return
    context.log.info("news: %s", "; ".join(reasons))
    yield dg.MaterializeResult(
        data_version=dg.DataVersion(versions.data_version),
        metadata=facts
        | {
            "news": dg.MetadataValue.md(
                "\n".join(f"- {markdown_text(reason)}" for reason in reasons)
            ),
            "inputs": dg.MetadataValue.json(dict(versions.inputs)),
            "dagster/row_count": len(versions.inputs),
        },
    )


def claim_for(platform: Platform, instance: dg.DagsterInstance, run_id: str) -> None:
    """Claim the right to publish for a run; see `genept.release.fencing`."""
    platform.claim.take(run_id, partial(_state, instance))


def _observe(context: dg.AssetExecutionContext, versions: InputVersions) -> None:
    """Log an observation of every watched source, with its version."""
    watched = {spec.key for assets in observed_sources for spec in assets.specs}
    for name, version in versions.sources.items():
        if (key := source_key(name)) in watched and ":" not in name:
            context.log_event(
                dg.AssetObservation(
                    key,
                    tags={DATA_VERSION: version},
                    metadata={"could not be asked": versions.unasked.get(name, "it was asked")},
                )
            )


def _last_nightly_run(instance: dg.DagsterInstance) -> tuple[dict[str, str], str | None]:
    """Inputs of the last nightly run with changes, or why they do not count."""
    records = instance.fetch_materializations(NEWS, limit=1).records
    if not records:
        return {}, "no night has been built yet"
    released = instance.fetch_materializations(RELEASE, limit=BY_HAND).records
    if records[0].run_id not in {record.run_id for record in released}:
        return {}, f"the last night did not end well (run {records[0].run_id})"
    materialization = records[0].asset_materialization
    kept = materialization.metadata["inputs"].value if materialization else {}
    return dict(kept if isinstance(kept, dict) else json.loads(str(kept))), None


def _state(instance: dg.DagsterInstance, run_id: str) -> RunState:
    """What became of a run; of one that this instance does not know, that it was given up."""
    run = instance.get_run_by_id(run_id)
    if run is None:
        return "given up"
    if not run.is_finished:
        return "at work"
    return "done" if run.is_success else "given up"


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
