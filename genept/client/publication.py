"""Publishing tables with their evidence, the pages of the audit, and the site of the release.

What the pages show is in `genept.client.pages`; staging and swapping a release in is
`genept.release`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import polars as pl

from genept.client.pages import (
    COMPARISON,
    described,
    games_pages,
    release_site,
    render_comparison,
)
from genept.client.platform import Platform
from genept.embeddings import TABLE_OF_KIND, pictures_of
from genept.models import model_reports, predictor_pages
from genept.models import release_pages as model_pages
from genept.nomenclature import mapping_pages
from genept.release import (
    PAGE,
    CheckEvidence,
    Manifest,
    Published,
    ReleaseCandidate,
    ReleasedFiles,
    Releases,
    approval_page,
    bill_of_materials,
    make_catalog,
    passed_on,
    publish_public,
    refresh_catalog,
    review,
)
from genept.release.metadata import metadata_files
from genept.schema.tables import TABLES
from genept.storage import Lake, StoredTable


def publish_tables(
    platform: Platform,
    tables: Mapping[str, StoredTable],
    *,
    check: Callable[..., CheckEvidence],
    check_pages: Callable[[Lake, Iterable[CheckEvidence]], dict[str, bytes]],
    confirm: Callable[[], object],
    run: str = "",
) -> Published:
    """Publish every table with the evidence of its checks and the pages of the audit.

    Parameters
    ----------
    platform
        The installation.
    tables
        Every declared table, by name.
    check
        Checks a table of the lake; `complete` says whether nothing was left out of it.
    check_pages
        Renders the evidence of all tables as pages, by path.
    confirm
        Raises unless the caller may still publish.
    run
        Name of the run, for the record of a hold.

    Returns
    -------
    Published
        The release; the current one if the content did not change.

    Raises
    ------
    HeldError
        The tables differ too much from the current release, without an approval.
    """
    settings, limits, sources = platform.settings, platform.limits, platform.released_sources()
    confirm()
    reviewed = review(
        platform.releases, tables, limits=limits, trusted=settings.approve,
        built=platform.subjects, sources=sources, platform_version=platform.version, run=run,
    )  # fmt: skip
    tables, left_out = passed_on(platform.lake, tables, settings.restricted)
    complete = not limits and not left_out
    evidence = {name: check(platform.lake, tables[name], complete=complete) for name in TABLES}

    def still_allowed() -> None:
        confirm()
        reviewed.confirm(platform.releases)

    def audit() -> dict[str, bytes]:
        pages = check_pages(platform.lake, evidence.values())
        return pages | approval_page(reviewed.approved) | _audit_pages(platform, tables)

    candidate = ReleaseCandidate(
        tables=tables, evidence=evidence, sources=sources, limits=limits, left_out=left_out,
        platform_version=platform.version, requirements_sha256=platform.requirements_sha256(),
        approved=settings.approve, audit=audit,
    )  # fmt: skip
    published = platform.releases.publish(
        candidate,
        pages=partial(_release_pages, settings.doi),
        metadata=lambda draft, files: metadata_files(described(settings.doi, draft, files)),
        catalog=make_catalog,
        confirm=still_allowed,
    )
    refresh_catalog(platform.releases)
    return published


def publish_for_anybody(releases: Releases, manifest: Manifest, *, doi: str | None) -> Published:
    """Copy a release, with a site of the copy, to the public product: see `genept.release`.

    Parameters
    ----------
    releases
        Opened with the publisher's keys.
    manifest
        Manifest of the release to copy.
    doi
        DOI of the data, if they have one.

    Returns
    -------
    Published
        The public release, and whether it is new.
    """
    return publish_public(
        releases,
        manifest,
        metadata=lambda it, files: metadata_files(described(doi, it, files)),
        pages=lambda it, files: release_site(it, files, doi),
    )


def _release_pages(doi: str | None, draft: Manifest, files: ReleasedFiles) -> dict[str, bytes]:
    """Pages that only a new release gets: its site, and the software that made it."""
    return {**release_site(draft, files, doi), PAGE: bill_of_materials()}


def _comparison(platform: Platform, tables: Mapping[str, StoredTable]) -> dict[str, bytes]:
    vectors = tables["gene_embeddings"].parts
    page = render_comparison(
        lambda name: platform.lake.read(tables[name]) if tables[name].parts else pl.DataFrame(),
        platform.recipes,
        {part.partition[0]: part.dimension for part in vectors if part.dimension is not None},
        platform.unavailable_spaces,
        "Text models and spaces of genes of a release compared",
    )
    return {} if page is None else {COMPARISON: page}


def _audit_pages(platform: Platform, tables: Mapping[str, StoredTable]) -> dict[str, bytes]:
    """Mapping reports, pictures and model cards; rendered for a new release."""
    lake, pages = platform.lake, {}
    for collection, page in mapping_pages(lake, tables["gene_mapping"]).items():
        pages[f"nomenclature/{collection}.md"] = page.encode()
    for table in TABLE_OF_KIND.values():
        pictures = pictures_of(lake, tables["observations"], tables[table])
        pages |= {f"embeddings/{name}.png": picture for name, (_, picture) in pictures.items()}
    pages |= predictor_pages(lake, tables) | _comparison(platform, tables)
    pages |= games_pages(lake, platform.games)
    reports = model_reports(lake, platform.registry, tables["gate_verdicts"])
    return pages | model_pages(reports)
