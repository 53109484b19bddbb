"""Whether inputs changed since the last nightly run: if not, nothing is built (group `sources`)."""

import json
from collections.abc import Iterator

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.declarations import described
from assets.results import DATA_VERSION, Context, PlatformResource, bullets
from assets.sources import observed_sources, source_key
from genept.client import InputVersions, read_input_versions
from genept.storage import input_changes, sha256_of

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
def news(context: Context, platform: PlatformResource) -> Iterator[dg.MaterializeResult[None]]:
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


def _observe(context: Context, versions: InputVersions) -> None:
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
