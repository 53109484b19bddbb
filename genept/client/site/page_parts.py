"""Parts of the catalogue page: figures as inline SVG, headline scores and coverage."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from genept.benchmarks import annotated_cells, cells_in_words, report_figures, sample_tasks
from genept.common import html_text
from genept.release import Manifest, ReleasedFiles
from genept.text.descriptions import load_recipes


@dataclass(frozen=True)
class Score:
    """A value with its interval, and whether it is a control that others must beat."""

    name: str
    value: float
    low: float | None
    high: float | None
    is_control: bool


def interval_plot(scores: Sequence[Score]) -> str:
    """Scores with their intervals on one axis, best first; the best control is a dashed line."""
    ordered = sorted(scores, key=lambda one: -one.value)
    ends = [end for one in ordered for end in (one.value, one.low, one.high) if end is not None]
    least, most = min(ends), max(ends)
    margin = (most - least) * 0.04 or 0.05
    axis = (least - margin, most + margin)
    controls = [one.value for one in ordered if one.is_control]
    best = max(controls) if controls else None
    rows = "".join(_score_row(one, axis, best) for one in ordered)
    legend = "Filled: embeddings and models. Hollow: controls"
    legend += "; dashed: the best control." if best is not None else "."
    return (
        f'<div class="plot" role="list">{rows}</div><p><small>{legend} Axis from {axis[0]:.2f} to '
        f"{axis[1]:.2f}; bars are 95 % intervals.</small></p>"
    )


def _score_row(one: Score, axis: tuple[float, float], best: float | None) -> str:
    kind = " control" if one.is_control else ""
    remark = " (control)" if one.is_control else ""
    interval = f", 95 % interval {one.low:.3f} to {one.high:.3f}" if _has_interval(one) else ""
    spoken = html_text(f"{one.name}{remark}: {one.value:.3f}{interval}")
    return (
        f'<div class="row{kind}" role="listitem"><span class="name">{html_text(one.name)}{remark}'
        f'</span><svg role="img" aria-label="{spoken}"><title>{spoken}</title>'
        f'{"".join(_marks(one, axis, best))}</svg><span class="value">{one.value:.3f}</span></div>'
    )


def _marks(one: Score, axis: tuple[float, float], best: float | None) -> Iterator[str]:
    yield '<line class="track" x1="0" x2="100%" y1="10" y2="10"/>'
    if best is not None:
        at = _place(best, axis)
        yield f'<line class="best" x1="{at}" x2="{at}" y1="0" y2="20"/>'
    if one.low is not None and one.high is not None:
        low, high = _place(one.low, axis), _place(one.high, axis)
        yield f'<line class="interval" x1="{low}" x2="{high}" y1="10" y2="10"/>'
    yield f'<circle class="dot" cx="{_place(one.value, axis)}" cy="10" r="4"/>'


def share_bar(name: str, share: float) -> str:
    """A share between 0 and 1 as a bar."""
    spoken = html_text(f"{name}: {share:.1%}")
    return (
        f'<div class="row" role="listitem"><span class="name">{html_text(name)}</span>'
        f'<svg role="img" aria-label="{spoken}"><title>{spoken}</title>'
        '<rect class="bed" x="0" y="6" width="100%" height="8" rx="4"/>'
        f'<rect class="bar" x="0" y="6" width="{share:.1%}" height="8" rx="4"/></svg>'
        f'<span class="value">{share:.1%}</span></div>'
    )


def _has_interval(one: Score) -> bool:
    return one.low is not None and one.high is not None


def _place(value: float, axis: tuple[float, float]) -> str:
    return f"{(value - axis[0]) / (axis[1] - axis[0]):.2%}"


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

    for one in report_figures(read, load_recipes()):
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
