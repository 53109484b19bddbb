"""Group `release`: all tables, published at once or not at all."""

from functools import partial

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.declarations import described, inputs
from assets.results import Context, PlatformResource
from genept.client import Platform, publish_tables
from genept.release import COMMAND, HeldError, RunState
from genept.schema.tables import TABLES
from genept.storage import StoredTable
from validation import check_table, evidence_pages

PAGES = "/release-pages"
"""Path of the UI below which pages of releases are served (`orchestration.release_pages`)."""

HELD = "held"
"""Metadata of a step that failed because the release is held: the changes to be approved."""


def claim_for(platform: Platform, instance: dg.DagsterInstance, run_id: str) -> None:
    """Claim the right to publish for a run; see `genept.release.fencing`."""
    platform.claim.take(run_id, partial(_state, instance))


def _state(instance: dg.DagsterInstance, run_id: str) -> RunState:
    """State of a run; a run that this instance does not know counts as given up."""
    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished:
        return "at work"
    return "done" if run is not None and run.is_success else "given up"


@dg.asset(
    **described(
        "release",
        "An immutable release of every table, made visible by swapping one pointer.",
        {
            "table": "Name of a table of the manifest.",
            "rows": "Number of its rows.",
            "bytes": "Size of its files.",
            "data_version": "Hash of its content.",
        },
        kinds=["s3"],
    ),
    ins=inputs(*TABLES),
)
def published_release(
    context: Context, platform: PlatformResource, **tables: StoredTable
) -> dg.MaterializeResult[None]:
    """Publish, unless the content did not change."""
    run_id = context.run.run_id
    claim_for(platform, context.instance, run_id)
    try:
        published = publish_tables(
            platform,
            tables,
            check=check_table,
            check_pages=evidence_pages,
            confirm=lambda: platform.claim.confirm(run_id),
            run=run_id,
        )
    except HeldError as error:
        raise hold_failure(error) from None
    manifest, address = published.manifest, platform.releases.address
    return dg.MaterializeResult(
        data_version=dg.DataVersion(manifest.data_version),
        metadata={
            "release": manifest.release_id,
            "is_new": published.is_new,
            "left_out": list(manifest.left_out),
            "page": dg.MetadataValue.url(f"{PAGES}/{manifest.release_id}/site/index.html"),
            "manifest": dg.MetadataValue.path(address(manifest.release_id, "manifest.json")),
            "dagster/row_count": sum(table.rows for table in manifest.tables.values()),
            "bytes": sum(table.bytes for table in manifest.tables.values()),
        },
    )


def hold_failure(error: HeldError) -> dg.Failure:
    """A hold as a failure of the step, with the changes as a table; Dagster does not retry it."""
    changes = [dg.TableRecord(row) for row in error.rows]
    return dg.Failure(
        description=str(error),
        metadata={
            HELD: dg.MetadataValue.table(changes),
            "against": error.hold.against,
            "approve with": f"{COMMAND} --reason …",
        },
        allow_retries=False,
    )
