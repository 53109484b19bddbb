"""What the catalogue page shows of a release's numbers: headline scores and coverage."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Final

import polars as pl

from genept.benchmarks.exhibits import cells_in_words, exhibits
from genept.benchmarks.standing import annotated_cells, sample_tasks
from genept.escaping import html_text
from genept.site.figures import Score
from genept.store.manifest import Manifest
from genept.store.released_files import ReleasedFiles
from genept.text.recipes import load_recipes

HEADLINES: Final = {
    ("benchmark_results", "accuracy"): "Cell type: accuracy of the 10 nearest neighbours",
    ("model_evaluations", "balanced_accuracy"): "Diagnosis: balanced accuracy",
    ("model_evaluations", "normalised_pearson"): "Drug response: Pearson correlation within a drug",
}

LONGEST_CAPTION: Final = 400
"""Letters."""


def read_table(
    files: ReleasedFiles, manifest: Manifest, name: str, columns: list[str] | None = None
) -> pl.DataFrame:
    """A small table of a release, or some columns of one; no rows: none."""
    paths = [files.local(manifest, file) for file in manifest.tables[name].files]
    if not paths:
        return pl.DataFrame()
    return pl.concat(pl.read_parquet(path, columns=columns, glob=False) for path in paths)


def headline_scores(
    files: ReleasedFiles, manifest: Manifest
) -> Iterator[tuple[str, str, int, list[Score]]]:
    """Task, data set, number of observations, and the scores on it, under the usual heads."""
    shared = ["dataset", "representation", "value", "ci_low", "ci_high", "n", "is_control"]
    for (table, metric), what in HEADLINES.items():
        rows = read_table(files, manifest, table)
        if not rows.width:
            continue
        if table == "benchmark_results":
            plain = ~pl.col("representation").str.contains("@permuted", literal=True)
            rows = annotated_cells(rows, metric).filter(plain)
        else:
            rows = sample_tasks(rows).filter(pl.col("metric") == metric)
        chosen = rows.select(shared)
        for of_one in chosen.sort("dataset").partition_by("dataset"):
            scores = [
                Score(
                    row["representation"],
                    row["value"],
                    row["ci_low"],
                    row["ci_high"],
                    row["is_control"],
                )
                for row in of_one.iter_rows(named=True)
            ]
            yield what, of_one["dataset"][0], of_one["n"][0], scores


def leaderboard(files: ReleasedFiles, manifest: Manifest) -> Iterator[str]:
    """The leaderboard's pictures, and in words which differences between cells are real: HTML."""

    def read(name: str) -> pl.DataFrame:
        return read_table(files, manifest, name) if name in manifest.tables else pl.DataFrame()

    for one in exhibits(read, load_recipes()):
        data = b64encode(one.png).decode()
        yield (
            f"<figure><figcaption><b>{html_text(one.title)}.</b> {_said(one.words)}</figcaption>"
            f'<img loading="lazy" style="max-width:100%" alt="{html_text(one.title)}" '
            f'src="data:image/png;base64,{data}"></figure>'
        )
    if said := cells_in_words(read("benchmark_comparisons")):
        yield f"<ul>{''.join(f'<li>{html_text(one)}</li>' for one in said)}</ul>"


def _said(words: str) -> str:
    """What a picture says; folded where it is longer than anybody reads unasked."""
    if len(words) <= LONGEST_CAPTION:
        return html_text(words)
    return f"<details><summary>in words</summary>{html_text(words)}</details>"


def coverages(files: ReleasedFiles, manifest: Manifest) -> Iterator[tuple[str, float]]:
    """Share of a collection's expression that found a gene vector, per space: its mean."""
    for table in ("cell_embeddings", "sample_embeddings"):
        rows = read_table(files, manifest, table, ["space", "method", "collection_id", "coverage"])
        if not rows.width:
            continue
        means = rows.group_by("collection_id", "space", "method").agg(pl.mean("coverage"))
        for collection, space, method, mean in means.sort(pl.all()).iter_rows():
            yield f"{collection} in {space} ({method})", float(mean)
