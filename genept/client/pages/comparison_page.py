"""The page that compares spaces over tasks: `genept bench models` and every release have it.

It stands alone: style and pictures are inside. What it shows is computed in
`genept.benchmarks`; how it looks is `genept/client/pages/site/comparison.html`.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from importlib.resources import files as resources
from typing import Any, Final

import polars as pl

from genept.benchmarks import (
    SPARSE,
    ablation_figure,
    all_tasks,
    compared_spaces,
    deciding_scores,
    frontier,
    is_larger_worth_it,
    publishers_tests,
    ranks_figure,
    text_gains,
    unavailable_in_words,
)
from genept.client.pages.templates import templates
from genept.common import ReportFigure
from genept.text import Recipe

COMPARISON: Final = "benchmarks/spaces.html"
"""Path of the page among the pages of a release."""


def render_comparison(
    read: Callable[[str], pl.DataFrame],
    recipes: Mapping[str, Recipe],
    dimensions: Mapping[str, int],
    unavailable: Mapping[str, str],
    title: str,
) -> bytes | None:
    """Render the page of the spaces that were scored.

    Parameters
    ----------
    read
        Reads a published table by name; a frame without columns where there is none.
    recipes
        Recipes by id.
    dimensions
        Length of the vectors, by space.
    unavailable
        Why spaces were not scored, by id.
    title
        What was compared, and where.

    Returns
    -------
    bytes or None
        HTML; None if nothing was scored.
    """
    scores = deciding_scores(read)
    if not scores.width or not scores.height:
        return None
    results, comparisons = read("benchmark_results"), read("benchmark_comparisons")
    models = compared_spaces(scores, results, dimensions)
    compared = bool(comparisons.width)
    figures: list[ReportFigure] = []
    if compared:
        figures += ranks_figure(scores, comparisons)
        figures += ablation_figure(comparisons, recipes)
    page = templates().get_template("comparison.html")
    html = page.render(
        title=title,
        style=resources("genept.client.pages").joinpath("site", "style.css").read_text("utf-8"),
        verdict=is_larger_worth_it(models, comparisons) if compared else [],
        models=models.rows(named=True),
        tasks=[
            *_tasks(scores, models["space"].to_list()),
            *_tasks(publishers_tests(results), models["space"].to_list()),
        ],
        controls=_shared_controls(scores),
        frontier=b64encode(frontier(models)).decode(),
        gains=text_gains(comparisons, models["space"]) if compared else [],
        figures=[
            (figure.title, figure.words, b64encode(figure.png).decode()) for figure in figures
        ],
        unavailable=unavailable_in_words(unavailable),
    )
    return f"{html}\n".encode()


def _shared_controls(scores: pl.DataFrame) -> list[str]:
    """Controls that stand beside every space: sparse TF-IDF of each recipe, random vectors."""
    names = scores.filter("is_control")["representation"].unique().sort()
    return [name for name in names if name.startswith((f"{SPARSE}/", "random-"))]


def _tasks(scores: pl.DataFrame, spaces: list[str]) -> list[dict[str, Any]]:
    """Each task with the score of every space and control, the best of either, and the question."""
    tasks = []
    for (task, dataset, split, metric), rows in scores.group_by(
        "task", "dataset", "split", "metric", maintain_order=True
    ):
        by_space = {row["representation"]: row for row in rows.iter_rows(named=True)}
        own = [by_space[space]["value"] for space in spaces if space in by_space]
        controls = rows.filter("is_control")["value"].max()
        known = all_tasks().get(str(task))
        if own:
            tasks.append(
                {"task": task, "dataset": dataset, "split": split, "metric": metric,
                 "scores": by_space, "best": max(own), "control": controls,
                 "title": known.title if known else "",
                 "published": known.published_scores if known else {}}
            )  # fmt: skip
    return tasks
