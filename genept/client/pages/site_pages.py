"""The site of a release: an overview, and pages of results, models, tables, quality and terms.

It is rendered while the release is audited. What it shows is chosen here, from the manifest and
small tables; how it shows it is in the templates in `site/`.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from functools import partial
from importlib.resources import files as resources
from typing import Any, Final, NamedTuple

import polars as pl
from markupsafe import Markup

from genept.benchmarks import annotated_cells, cells_in_words, report_figures, sample_tasks
from genept.client.pages.templates import PlottedScore, part, templates
from genept.client.partial_releases import limits_in_words
from genept.client.queries import opening_statements, sql_questions
from genept.client.release_lookup import Snippets
from genept.release import Manifest, ReleasedFiles, cited_address
from genept.release.metadata import DescribedRelease, in_script, schema_org
from genept.text import load_recipes

PAGES: Final[Mapping[str, tuple[str, str]]] = {
    "index": ("Overview", "what this release is, and its main scores"),
    "use": ("Use it", "two statements, and whole analyses to copy"),
    "results": ("Results", "scores beside the controls to beat"),
    "leaderboard": ("Leaderboard", "all tasks, ranks, and which differences are real"),
    "models": ("Models", "cards, and what each retraining changed"),
    "tables": ("Tables", "meanings of all columns, and inputs"),
    "quality": ("Quality", "known issues, checks, coverage"),
    "licences": ("Licences", "terms and citations of all data"),
}
"""Title of each page and what it has, by the name of its file."""

HEADLINES: Final = {
    ("benchmark_results", "accuracy"): "Cell type: accuracy of the 10 nearest neighbours",
    ("model_evaluations", "balanced_accuracy"): "Diagnosis: balanced accuracy",
    ("model_evaluations", "normalised_pearson"): "Drug response: Pearson correlation within a drug",
}


class Headline(NamedTuple):
    """The best score of a task beside the best of its controls.

    Parameters
    ----------
    task, cohort
        The question, and the data set.
    best, control
        Scores; None: nothing but controls, or no control, was scored.
    """

    task: str
    cohort: str
    best: PlottedScore | None
    control: PlottedScore | None


def release_site(
    manifest: Manifest, files: ReleasedFiles, doi: str | None = None
) -> Mapping[str, bytes]:
    """The pages that describe a release, and their style.

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
    results, snippets = list(headline_scores(files, manifest)), Snippets(files, manifest)
    shown: dict[str, Any] = {
        "pages": PAGES,
        "manifest": manifest,
        "json_ld": Markup(in_script(schema_org(described(doi, manifest, files)))),  # noqa: S704
        "snippets": snippets,
        "opening": opening_statements(snippets),
        "sql": sql_questions(snippets),
        "spaces": sorted({file.partition[0] for file in manifest.tables["gene_embeddings"].files}),
        "results": results,
        "headlines": [headline(task, cohort, scores) for task, cohort, _, scores in results],
        "leaderboard": leaderboard(files, manifest),
        "models": [
            path.removeprefix("models/").removesuffix(".html")
            for path in sorted(manifest.audit)
            if path.startswith("models/") and path.endswith(".html")
        ],
        "issues": list(_issues(manifest, collections)),
        "tables": sorted(manifest.tables.items(), key=lambda it: not it[1].rows),
        "inputs": {
            name: sorted({used for file in table.files for used in file.origin.get("inputs", {})})
            for name, table in manifest.tables.items()
        },
        "collections": collections.rows(named=True),
        "coverages": list(coverages(files, manifest)),
    }
    style = resources("genept.client.pages").joinpath("site", "style.css").read_bytes()
    rendered = {"site/style.css": style}
    for name in PAGES:
        html = templates().get_template(f"release/{name}.html").render(page=name, **shown)
        rendered[f"site/{name}.html"] = f"{html}\n".encode()
    return rendered


def described(doi: str | None, manifest: Manifest, files: ReleasedFiles) -> DescribedRelease:
    """A release with its address, as metadata name it.

    Parameters
    ----------
    doi
        DOI of the product, if it has one.
    manifest
        Manifest of the release.
    files
        Files of the releases.

    Returns
    -------
    DescribedRelease
    """
    product = files.folder.removesuffix("/releases")
    address = cited_address(files.store, product, manifest.release_id)
    return DescribedRelease(manifest, address, doi)


def headline(task: str, cohort: str, scores: list[PlottedScore]) -> Headline:
    """The best of the scores of a task, and of its controls."""
    best, control = (
        max((it for it in scores if it.is_control == wanted), key=lambda it: it.value, default=None)
        for wanted in (False, True)
    )
    return Headline(task, cohort, best, control)


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
        yield f"The release is partial: {limits_in_words(manifest.limits)}."
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
