"""The pictures and sentences of a leaderboard, made of published tables: one list for everybody.

The release page, the command line and a notebook ask here what there is to show. How it is drawn
is `figures`; what decides, and what it must beat, is `standing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

from genept.benchmarks.ablations import MASKED, added, leaks
from genept.benchmarks.metrics.resampling import in_words
from genept.benchmarks.plots import (
    ablation,
    confusion,
    cost_map,
    critical_difference,
    heat_map,
    program_map,
)
from genept.benchmarks.space_costs import per_point
from genept.benchmarks.task_scores import (
    apart,
    beside_controls,
    deciding,
    mean_ranks,
    sample_tasks,
    spaces_of,
)
from genept.benchmarks.tasks.cell_types import TASK as CELL_TYPES
from genept.text.descriptions.recipes import Recipe

Read = Callable[[str], pl.DataFrame]
"""Rows of a published table; a frame without columns if the release has none."""

MOST_CONFUSIONS = 6
SYMBOLS_SHOWN = 3


@dataclass(frozen=True)
class ReportFigure:
    """A picture with its title, and what it shows in words.

    Parameters
    ----------
    name
        For a file name: small letters and hyphens.
    """

    name: str
    title: str
    words: str
    png: bytes


def task_scores(read: Read) -> pl.DataFrame:
    """Every space on every task, one score each, beside the control that it must beat."""
    found = [read("benchmark_results")]
    if (evaluations := read("model_evaluations")).width:
        found.append(sample_tasks(evaluations))
    rows = [one for one in found if one.width]
    if not rows:
        return pl.DataFrame()
    return spaces_of(beside_controls(deciding(pl.concat(rows, how="diagonal"))))


def report_figures(read: Read, recipes: dict[str, Recipe]) -> Iterator[ReportFigure]:
    """What there is to show of a release, the most telling first."""
    standing = task_scores(read)
    if not standing.width or not standing.height:
        return
    yield _heat_map(standing)
    comparisons = read("benchmark_comparisons")
    if comparisons.width and comparisons.height:
        yield from _ranks(standing, comparisons)
        yield from _ablation(comparisons, recipes)
    yield from _costs(read("benchmark_results"), standing)
    yield from _confusions(read("benchmark_confusions"))
    yield from _programs(read)


def cells_in_words(comparisons: pl.DataFrame) -> list[str]:
    """Which differences between representations of cells are real, a sentence each."""
    if not comparisons.width:
        return []
    asked = comparisons.filter(pl.col("task").str.starts_with(f"{CELL_TYPES}/"))
    return in_words(asked.filter(~pl.col("other").str.contains("@", literal=True)))


def _heat_map(standing: pl.DataFrame) -> ReportFigure:
    below = standing.filter("is_below")
    told = [
        f"{one['representation']} on {one['task']} ({one['dataset']}), below {one['best_control']}"
        for one in below.iter_rows(named=True)
    ]
    words = "Below a control: " + "; ".join(told) + "." if told else "No score is below a control."
    shown = standing.filter(~pl.col("representation").str.contains("@", literal=True))
    return ReportFigure("spaces-by-tasks", "Spaces by tasks", words, heat_map(shown))


def _ranks(standing: pl.DataFrame, comparisons: pl.DataFrame) -> Iterator[ReportFigure]:
    ranks, tasks = mean_ranks(standing)
    if len(ranks) < 2:
        return
    told = apart(comparisons)
    pairs = sorted(tuple(sorted((a, b))) for a in ranks for b in ranks if a < b and told(a, b))
    words = f"BatchInference of all: {', '.join(tasks)}. "
    words += f"Told apart: {'; '.join(' and '.join(pair) for pair in pairs) or 'none'}."
    png = critical_difference(ranks, told, len(tasks))
    yield ReportFigure("critical-difference", "What can be told apart", words, png)


def _ablation(comparisons: pl.DataFrame, recipes: dict[str, Recipe]) -> Iterator[ReportFigure]:
    found = added(comparisons, recipes)
    if not found.height:
        return
    stated = [
        f"{one['task']} in {one['embedder']}/{one['more']}"
        for one in leaks(found).iter_rows(named=True)
    ]
    if stated:
        words = f"Texts that state the label: {'; '.join(stated)}."
    elif found["adds"].str.starts_with(MASKED).any():
        words = "No masked text is separably worse than the same text unmasked."
    else:
        words = "No text was compared with the same text masked."
    yield ReportFigure("description-ablation", "What each part of a description adds", words,
                  ablation(found))  # fmt: skip


def _costs(results: pl.DataFrame, standing: pl.DataFrame) -> Iterator[ReportFigure]:
    costs = per_point(results, standing) if results.width else results
    if not costs.height:
        return
    told = [
        f"{one['space']} {one['points']:.1f} points on {one['n_tasks']} tasks for "
        f"{one['tokens']:,.0f} tokens, "
        + ("" if one["seconds"] is None else f"{one['seconds']:,.0f} s of a processor, ")
        + f"US$ {one['dollars']:,.2f}"
        + ("" if one["tokens_per_point"] is None else
           f" ({one['tokens_per_point']:,.0f} tokens a point)")
        for one in costs.iter_rows(named=True)
    ]  # fmt: skip
    yield ReportFigure(
        "cost-per-point", "What a point costs", "; ".join(told) + ".", cost_map(costs)
    )


def _confusions(counted: pl.DataFrame) -> Iterator[ReportFigure]:
    if not counted.width:
        return
    knowing = counted.filter(
        ~pl.col("representation").str.contains("@|:centred|random|majority|expression")
    )
    of = ["task", "dataset", "representation"]
    for rows in knowing.partition_by(of, maintain_order=True)[:MOST_CONFUSIONS]:
        task, dataset, name = rows.select(of).row(0)
        hits = rows.filter(pl.col("truth") == pl.col("predicted"))
        right = int(hits["n"].sum()) / int(rows["n"].sum())
        worst = rows.filter(pl.col("truth") != pl.col("predicted")).sort("n", descending=True)
        words = f"{right:.1%} right"
        if worst.height:
            one = worst.row(0, named=True)
            words += f"; most often wrong: {one['truth']} taken for {one['predicted']}"
        title = f"{task}, {dataset}: {name}"
        file = f"confusion-{task}-{dataset}-{name}".replace("/", "-").replace(":", "-")
        yield ReportFigure(file, title, f"{words}.", confusion(rows, title))


def _programs(read: Read) -> Iterator[ReportFigure]:
    active, members, terms = (
        read(name) for name in ("program_activity", "gene_programs", "program_terms")
    )
    if not active.width or not members.width:
        return
    for rows in active.partition_by(["collection_id", "space"], maintain_order=True):
        space, collection = rows.select("space", "collection_id").row(0)
        names = program_names(members.filter(space=space), terms, space)
        title = f"Gene programs of {space} in {collection}"
        top = rows.sort("activity", descending=True).head(5)
        words = "Most active: " + "; ".join(
            f"{names[program]} in {kind}"
            for program, kind in top.select("program", "cell_type").iter_rows()
        )
        file = f"programs-{collection}-{space}".replace("/", "-")
        yield ReportFigure(file, title, f"{words}.", program_map(rows, names, title))


def program_names(members: pl.DataFrame, terms: pl.DataFrame, space: str) -> dict[int, str]:
    """What to call each program: its surest term, and the genes nearest to its mean."""
    nearest = members.sort(["similarity", "symbol"], descending=[True, False])
    symbols = nearest.group_by("program").agg(pl.col("symbol").head(SYMBOLS_SHOWN))
    named = {number: ", ".join(few) for number, few in symbols.iter_rows()}
    if terms.width:
        ordered = terms.filter(space=space).sort("p", "term")
        surest = ordered.unique("program", keep="first", maintain_order=True)
        for number, term in surest.select("program", "term").iter_rows():
            named[number] = f"{term[:44]} ({named[number]})"
    return named
