"""Publishing tables with the pages of a release: the catalogue page, and those of its audit.

The catalogue page has tables, results, models, issues, lineage, quality, licences. It is rendered
while the release is audited. What the page shows is chosen here, from the manifest and
small tables; how it shows it is in the templates in `genept/client/site/`.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib.resources import files as resources
from typing import Final

import polars as pl
from markupsafe import Markup

from genept.benchmarks import annotated_cells, cells_in_words, report_figures, sample_tasks
from genept.client.comparison_page import COMPARISON, render_comparison
from genept.client.games_page import games_pages
from genept.client.platform import Platform
from genept.client.release_lookup import Snippets
from genept.client.templates import PlottedScore, part, templates
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
from genept.release.metadata import DescribedRelease, in_script, metadata_files, schema_org
from genept.schema.tables import TABLES
from genept.storage import Lake, StoredTable
from genept.text import load_recipes

HEADLINES: Final = {
    ("benchmark_results", "accuracy"): "Cell type: accuracy of the 10 nearest neighbours",
    ("model_evaluations", "balanced_accuracy"): "Diagnosis: balanced accuracy",
    ("model_evaluations", "normalised_pearson"): "Drug response: Pearson correlation within a drug",
}


def release_site(
    manifest: Manifest, files: ReleasedFiles, doi: str | None = None
) -> Mapping[str, bytes]:
    """The page that describes a release, and its style.

    Parameters
    ----------
    manifest
        Manifest of the release.
    files
        Files of the releases, from which tables are read.
    doi
        DOI of the product, if it has one.

    Returns
    -------
    Mapping of str to bytes
        HTML and CSS by path under the release's `audit/`.
    """
    collections = read_table(files, manifest, "collections")
    page = templates().get_template("page.html")
    html = page.render(
        manifest=manifest,
        json_ld=Markup(in_script(schema_org(_described(doi, manifest, files)))),  # noqa: S704
        snippets=Snippets(files, manifest),
        spaces=sorted({file.partition[0] for file in manifest.tables["gene_embeddings"].files}),
        results=headline_scores(files, manifest),
        leaderboard=leaderboard(files, manifest),
        models=[
            path.removeprefix("models/").removesuffix(".html")
            for path in sorted(manifest.audit)
            if path.startswith("models/") and path.endswith(".html")
        ],
        issues=list(_issues(manifest, collections)),
        inputs={
            name: sorted({used for file in table.files for used in file.origin.get("inputs", {})})
            for name, table in manifest.tables.items()
        },
        collections=collections.rows(named=True),
        coverages=list(coverages(files, manifest)),
    )
    style = resources("genept.client").joinpath("site", "style.css").read_bytes()
    return {"site/index.html": f"{html}\n".encode(), "site/style.css": style}


def read_table(
    files: ReleasedFiles, manifest: Manifest, name: str, columns: list[str] | None = None
) -> pl.DataFrame:
    """A small table of a release, or some columns of one; a frame without columns if it is empty.

    A release may be older than the table.
    """
    released = manifest.tables.get(name)
    paths = [files.local(manifest, file) for file in released.files] if released else []
    frames = [pl.read_parquet(path, columns=columns, glob=False) for path in paths]
    return pl.concat(frames) if frames else pl.DataFrame()


def headline_scores(
    files: ReleasedFiles, manifest: Manifest
) -> Iterator[tuple[str, str, int, list[PlottedScore]]]:
    """Task, data set, number of observations, and the scores on it, under the usual heads."""
    shared = ["dataset", "n", "representation", "value", "ci_low", "ci_high", "is_control"]
    for (table, metric), task in HEADLINES.items():
        rows = read_table(files, manifest, table)
        if not rows.width:
            continue
        if table == "benchmark_results":
            plain = ~pl.col("representation").str.contains("@permuted", literal=True)
            rows = annotated_cells(rows, metric).filter(plain)
        else:
            rows = sample_tasks(rows).filter(metric=metric)
        for of_dataset in rows.select(shared).sort("dataset").partition_by("dataset"):
            scores = [PlottedScore(*row[2:]) for row in of_dataset.iter_rows()]
            yield task, of_dataset["dataset"][0], of_dataset["n"][0], scores


def leaderboard(files: ReleasedFiles, manifest: Manifest) -> str:
    """The leaderboard's figures, and which differences between cells are real: HTML."""

    read = partial(read_table, files, manifest)
    figures = [
        (figure.title, figure.words, b64encode(figure.png).decode())
        for figure in report_figures(read, load_recipes())
    ]
    return part("leaderboard", figures, cells_in_words(read("benchmark_comparisons")))


def coverages(files: ReleasedFiles, manifest: Manifest) -> Iterator[tuple[str, float]]:
    """Share of a collection's expression that found a gene vector, per space: its mean."""
    for table in ("cell_embeddings", "sample_embeddings"):
        rows = read_table(files, manifest, table, ["space", "method", "collection_id", "coverage"])
        if rows.width:
            means = rows.group_by("collection_id", "space", "method").agg(pl.mean("coverage"))
            for collection, space, method, mean in means.sort(pl.all()).iter_rows():
                yield f"{collection} in {space} ({method})", float(mean)


def _issues(manifest: Manifest, collections: pl.DataFrame) -> Iterator[str]:
    if not manifest.complete:
        yield f"The release is partial: {manifest.limits}."
    if manifest.left_out:
        yield f"Left out, as they may not be redistributed: {', '.join(manifest.left_out)}."
    for row in collections.iter_rows(named=True):
        if row["caveat"] is not None:
            yield f"{row['collection_id']}: {row['caveat']}"
    for name, checked in manifest.evidence.items():
        yield from (f"{name}: {warning}" for warning in checked.warnings)
    for name, table in manifest.tables.items():
        for column in table.columns:
            if column.deprecated:
                yield f"{name}.{column.name} will be dropped or changed: {column.deprecated}"


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
        metadata=lambda draft, files: metadata_files(_described(settings.doi, draft, files)),
        catalog=make_catalog,
        confirm=still_allowed,
    )
    refresh_catalog(platform.releases)
    return published


def publish_for_anybody(releases: Releases, manifest: Manifest, *, doi: str | None) -> Published:
    """Copy a release to the public product, with its metadata; see `genept.release.publish_public`.

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
        releases, manifest, metadata=lambda it, files: metadata_files(_described(doi, it, files))
    )


def _release_pages(doi: str | None, draft: Manifest, files: ReleasedFiles) -> dict[str, bytes]:
    """Pages that only a new release gets: its site, and the software that made it."""
    return {**release_site(draft, files, doi), PAGE: bill_of_materials()}


def _described(doi: str | None, manifest: Manifest, files: ReleasedFiles) -> DescribedRelease:
    address = files.store.uri(f"{files.folder}/{manifest.release_id}/")
    return DescribedRelease(manifest, address, doi)


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
