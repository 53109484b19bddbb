"""Group `operations`: whether a night has news, and who may publish.

`news` stands between the sources and everything else: a night in which it makes nothing ends
there, and every step below it is skipped.
"""

import json
from collections.abc import Iterator
from functools import partial

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.results import DATA_VERSION, OWNERS
from assets.sources import observed_sources, source_key
from genept.escaping import markdown_text
from genept.outlook import Outlook, look
from genept.platform import Platform
from genept.store.claim import RunState

NIGHTS = dg.DailyPartitionsDefinition("2026-01-01", timezone="UTC")
"""One partition per night, so that a night that was missed is caught up with."""

NEWS = dg.AssetKey("news")
RELEASE = dg.AssetKey("published_release")
BY_HAND = 20
"""Releases without a night that may lie between two nights: more, and a night builds for nothing.
"""


@dg.asset(
    key=NEWS,
    partitions_def=NIGHTS,
    deps=[spec.key for one in observed_sources for spec in one.specs],
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
    """Look at everything that a release is built from, and say what is new."""
    found = look(platform)
    _observe(context, found)
    before, why = _last_night(context.instance)
    reasons = [why] if why else found.news_since(before)
    if platform.releases.current_id() is None:
        reasons.insert(0, "nothing has been released yet")
    facts = {
        "night": context.partition_key if context.has_partition_key else "none",
        "requests": found.requests,
        "could not be asked": dg.MetadataValue.md(
            "\n".join(
                f"- {markdown_text(name)}: {markdown_text(why)}"
                for name, why in found.unasked.items()
            )
            or "none"
        ),
    }
    if not reasons:
        said = f"no news: {len(found.inputs)} inputs are what they were; nothing is built"
        context.log.info(said)
        night = context.partition_key if context.has_partition_key else None
        context.log_event(
            dg.AssetObservation(NEWS, partition=night, description=said, metadata=facts)
        )
        return
    context.log.info("news: %s", "; ".join(reasons))
    yield dg.MaterializeResult(
        data_version=dg.DataVersion(found.data_version),
        metadata=facts
        | {
            "news": dg.MetadataValue.md("\n".join(f"- {markdown_text(one)}" for one in reasons)),
            "inputs": dg.MetadataValue.json(dict(found.inputs)),
            "dagster/row_count": len(found.inputs),
        },
    )


def claim_for(platform: Platform, instance: dg.DagsterInstance, run_id: str) -> None:
    """Claim the right to publish for a run; see `genept.store.claim`."""
    platform.claim.take(run_id, partial(_state, instance))


def _observe(context: dg.AssetExecutionContext, found: Outlook) -> None:
    """Tell the graph which version of every watched source was seen."""
    watched = {spec.key for one in observed_sources for spec in one.specs}
    for name, version in found.sources.items():
        if (key := source_key(name)) in watched and ":" not in name:
            context.log_event(
                dg.AssetObservation(
                    key,
                    tags={DATA_VERSION: version},
                    metadata={"could not be asked": found.unasked.get(name, "it was asked")},
                )
            )


def _last_night(instance: dg.DagsterInstance) -> tuple[dict[str, str], str | None]:
    """Inputs of the last night with news, or why they do not count."""
    nights = instance.fetch_materializations(NEWS, limit=1).records
    if not nights:
        return {}, "no night has been built yet"
    released = instance.fetch_materializations(RELEASE, limit=BY_HAND).records
    if nights[0].run_id not in {record.run_id for record in released}:
        return {}, f"the last night did not end well (run {nights[0].run_id})"
    materialization = nights[0].asset_materialization
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
