"""Group `release`: all tables, published at once or not at all."""

from collections.abc import Callable, Mapping
from functools import partial

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.operations import claim_for
from assets.results import described, inputs
from genept.client import Platform, release_site
from genept.embeddings import TABLE_OF_KIND, pictures_of
from genept.models import model_reports, release_pages
from genept.nomenclature import mapping_pages
from genept.release import (
    COMMAND,
    PAGE,
    CheckEvidence,
    HeldError,
    Manifest,
    Published,
    ReleaseCandidate,
    ReleasedFiles,
    Reviewed,
    approval_page,
    bill_of_materials,
    passed_on,
    review,
)
from genept.schema.tables import TABLES
from genept.storage import StoredTable
from validation import check_table, evidence_pages

PAGES = "/release-pages"
"""Path of the UI below which pages of releases are served (`orchestration.release_pages`)."""

HELD = "held"
"""Metadata of a step that failed because the release is held: the changes to be approved."""


def _pages(draft: Manifest, files: ReleasedFiles) -> dict[str, bytes]:
    """Pages that only a new release gets: its site, and the software that made it."""
    return {**release_site(draft, files), PAGE: bill_of_materials()}


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
    context: dg.AssetExecutionContext,
    platform: dg.ResourceParam[Platform],
    **tables: StoredTable,
) -> dg.MaterializeResult[None]:
    """Publish, unless the content did not change."""
    run_id = context.run.run_id
    claim_for(platform, context.instance, run_id)
    try:
        published = publish_tables(
            platform, tables, confirm=lambda: platform.claim.confirm(run_id), run=run_id
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
    changes = [
        dg.TableRecord(
            {
                "table": change.table,
                "part": f"{change.subject} {change.value}".strip() or "the whole table",
                "before": change.before,
                "after": change.after,
            }
        )
        for change in error.waiting
    ]
    return dg.Failure(
        description=str(error),
        metadata={
            HELD: dg.MetadataValue.table(changes),
            "against": error.hold.against,
            "approve with": f"{COMMAND} --reason …",
        },
        allow_retries=False,
    )


def publish_tables(
    platform: Platform,
    tables: Mapping[str, StoredTable],
    *,
    confirm: Callable[[], object],
    run: str = "",
) -> Published:
    """Publish every table with the evidence of its checks and the pages of the audit.

    Parameters
    ----------
    confirm
        Raises unless the caller may still publish.
    run
        Name of the run, for the record of a hold.

    Raises
    ------
    HeldError
        The tables differ too much from the current release, without an approval.
    """
    limits, sources = platform.limits, platform.released_sources()
    confirm()
    reviewed = review(
        platform.releases,
        tables,
        limits=limits,
        trusted=platform.settings.approve,
        built=platform.subjects,
        sources=sources,
        platform_version=platform.version,
        run=run,
    )
    tables, left_out = passed_on(platform.lake, tables, platform.settings.restricted)

    def still_allowed() -> None:
        confirm()
        reviewed.confirm(platform.releases)

    complete = not limits and not left_out
    evidence = {
        name: check_table(platform.lake, tables[name], complete=complete) for name in TABLES
    }
    return platform.releases.publish(
        ReleaseCandidate(
            tables=tables,
            evidence=evidence,
            sources=sources,
            platform_version=platform.version,
            requirements_sha256=platform.requirements_sha256(),
            limits=limits,
            left_out=left_out,
            approved=platform.settings.approve,
            audit=partial(_audit_pages, platform, tables, evidence, reviewed),
        ),
        pages=_pages,
        confirm=still_allowed,
    )


def _audit_pages(
    platform: Platform,
    tables: Mapping[str, StoredTable],
    evidence: Mapping[str, CheckEvidence],
    reviewed: Reviewed,
) -> dict[str, bytes]:
    """Checks, approvals, mapping reports, pictures and model cards; rendered for a new release."""
    pages = evidence_pages(platform.lake, evidence.values())
    pages |= approval_page(reviewed.approved)
    for collection, page in mapping_pages(platform.lake, tables["gene_mapping"]).items():
        pages[f"nomenclature/{collection}.md"] = page.encode()
    for table in TABLE_OF_KIND.values():
        pictures = pictures_of(platform.lake, tables["observations"], tables[table])
        pages |= {f"embeddings/{name}.png": picture for name, (_, picture) in pictures.items()}
    return pages | release_pages(
        model_reports(platform.lake, platform.registry, tables["gate_verdicts"])
    )
