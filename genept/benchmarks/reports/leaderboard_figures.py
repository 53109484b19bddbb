"""Figures and sentences of a leaderboard, made of published tables.

Drawing is in `plots`; what decides, and its controls, in `genept.benchmarks.task_scores`.
"""

from collections.abc import Iterator, Mapping

import polars as pl

from genept.benchmarks.cells import TASK as CELL_TYPES
from genept.benchmarks.reports import plots
from genept.benchmarks.reports.expression_figures import lineage_figure, program_figures
from genept.benchmarks.reports.report_figure import MOST_SHOWN, Read
from genept.benchmarks.task_scores import (
    MASKED,
    ablations,
    apart,
    beside_controls,
    deciding,
    leaks,
    mean_ranks,
    sample_tasks,
    spaces_of,
)
from genept.benchmarks.vector_costs import per_point
from genept.common import ReportFigure
from genept.text import Recipe


def deciding_scores(read: Read) -> pl.DataFrame:
    """Every space on every task, one score each, beside the best control that it must beat.

    Parameters
    ----------
    read
        Reads a published table by name.

    Returns
    -------
    pl.DataFrame
        Rows of `beside_controls`, named by space; no columns if nothing was scored.
    """
    frames = [read("benchmark_results")]
    if (evaluations := read("model_evaluations")).width:
        frames.append(sample_tasks(evaluations))
    rows = [frame for frame in frames if frame.width]
    if not rows:
        return pl.DataFrame()
    return spaces_of(beside_controls(deciding(pl.concat(rows, how="diagonal"))))


def report_figures(read: Read, recipes: Mapping[str, Recipe]) -> Iterator[ReportFigure]:
    """Figures of a release, the most informative first.

    Parameters
    ----------
    read
        Reads a published table by name; a frame without columns where the release has none.
    recipes
        Recipes by id.

    Returns
    -------
    Iterator of ReportFigure
        Figures with titles and sentences.
    """
    scores = deciding_scores(read)
    if not scores.width or not scores.height:
        return
    yield _heat_map(scores)
    comparisons = read("benchmark_comparisons")
    if comparisons.width and comparisons.height:
        yield from ranks_figure(scores, comparisons)
        yield from ablation_figure(comparisons, recipes)
    yield from _costs(read("benchmark_results"), scores)
    yield from _confusions(read("benchmark_confusions"))
    yield from lineage_figure(read("benchmark_results"))
    yield from program_figures(read)


def cells_in_words(comparisons: pl.DataFrame) -> list[str]:
    """Which differences between representations of cells are significant, a sentence each.

    Parameters
    ----------
    comparisons
        Table `benchmark_comparisons`.

    Returns
    -------
    list of str
        One sentence per difference; those with shuffled or permuted controls are left out.
    """
    if not comparisons.width:
        return []
    annotation = comparisons.filter(pl.col("task").str.starts_with(f"{CELL_TYPES}/"))
    return in_words(annotation.filter(~pl.col("other").str.contains("@", literal=True)))


def in_words(comparisons: pl.DataFrame) -> list[str]:
    """Which differences are significant and which are not, a sentence each.

    Parameters
    ----------
    comparisons
        Table `benchmark_comparisons`.

    Returns
    -------
    list of str
        One sentence per row, by task; separable differences first, then the larger ones.
    """
    sentences = []
    ordered = comparisons.sort(
        "task", ~pl.col("separable"), -pl.col("difference").abs(), "representation", "other"
    )
    for row in ordered.iter_rows(named=True):
        ahead, behind = row["representation"], row["other"]
        low, high, by = row["ci_low"], row["ci_high"], row["difference"]
        if by < 0:
            ahead, behind, by, low, high = behind, ahead, -by, -high, -low
        verdict = (
            f"{ahead} is ahead of {behind} by {by:.3f} [{low:.3f}, {high:.3f}]"
            if row["separable"]
            else f"{ahead} and {behind} are not separable ({by:+.3f} [{low:.3f}, {high:.3f}])"
        )
        # A bound where exchanges are too few: how small it is says little.
        p = "below 1e-6" if row["p_holm"] < 1e-6 else f"{row['p_holm']:.2g}"
        sentences.append(f"{row['task']}: {verdict}, corrected p {p}")
    return sentences


def _heat_map(scores: pl.DataFrame) -> ReportFigure:
    below = scores.filter("is_below")
    listed = [
        f"{row['representation']} on {row['task']} ({row['dataset']}), below {row['best_control']}"
        for row in below.iter_rows(named=True)
    ]
    words = (
        "Below a control: " + "; ".join(listed) + "." if listed else "No score is below a control."
    )
    shown = scores.filter(~pl.col("representation").str.contains("@", literal=True))
    return ReportFigure("spaces-by-tasks", "Spaces by tasks", words, plots.heat_map(shown))


def ranks_figure(scores: pl.DataFrame, comparisons: pl.DataFrame) -> Iterator[ReportFigure]:
    """Mean ranks, and which of them are separable; nothing for fewer than two representations.

    Parameters
    ----------
    scores
        Rows of `deciding_scores`.
    comparisons
        Table `benchmark_comparisons`.

    Yields
    ------
    ReportFigure
        One at most.
    """
    (ranks, tasks), separable = mean_ranks(scores), apart(comparisons)
    if len(ranks) < 2:
        return
    pairs = {tuple(sorted((a, b))): separable(a, b) for a in ranks for b in ranks if a < b}
    most = 2 * sum(pairs.values()) > len(pairs)  # the shorter list is written
    named = [" and ".join(pair) for pair in sorted(pairs) if pairs[pair] != most]
    words = f"Tasks that all were scored on: {', '.join(tasks)}. "
    words += f"{'All are separable but' if most else 'Separable'}: {'; '.join(named) or 'none'}."
    png = plots.critical_difference(ranks, separable, len(tasks))
    yield ReportFigure("critical-difference", "Which representations are separable", words, png)


def ablation_figure(
    comparisons: pl.DataFrame, recipes: Mapping[str, Recipe]
) -> Iterator[ReportFigure]:
    """What each part of a description adds; nothing where no two recipes differ by one part.

    Parameters
    ----------
    comparisons
        Table `benchmark_comparisons`.
    recipes
        Recipes by id.

    Yields
    ------
    ReportFigure
    """
    differences = ablations(comparisons, recipes)
    if not differences.height:
        return
    stated = [
        f"{row['task']} in {row['embedder']}/{row['more']}"
        for row in leaks(differences).iter_rows(named=True)
    ]
    if stated:
        words = f"Texts that state the label: {'; '.join(stated)}."
    elif differences["adds"].str.starts_with(MASKED).any():
        words = "No masked text is separably worse than the same text unmasked."
    else:
        words = "No text was compared with the same text masked."
    yield ReportFigure("description-ablation", "What each part of a description adds", words,
                  plots.ablation(differences))  # fmt: skip


def _costs(results: pl.DataFrame, scores: pl.DataFrame) -> Iterator[ReportFigure]:
    costs = per_point(results, scores) if results.width else results
    if not costs.height:
        return
    listed = [
        f"{row['space']} {row['points']:.1f} points on {row['n_tasks']} tasks for "
        f"{row['tokens']:,.0f} tokens, "
        + ("" if row["seconds"] is None else f"{row['seconds']:,.0f} s of a processor, ")
        + f"US$ {row['dollars']:,.2f}"
        + ("" if row["tokens_per_point"] is None else
           f" ({row['tokens_per_point']:,.0f} tokens a point)")
        for row in costs.iter_rows(named=True)
    ]  # fmt: skip
    yield ReportFigure(
        "cost-per-point", "What a point costs", "; ".join(listed) + ".", plots.cost_map(costs)
    )


def _confusions(counted: pl.DataFrame) -> Iterator[ReportFigure]:
    if not counted.width:
        return
    informed = counted.filter(
        ~pl.col("representation").str.contains("@|:centred|random|majority|expression")
    )
    of = ["task", "dataset", "representation"]
    for rows in informed.partition_by(of, maintain_order=True)[:MOST_SHOWN]:
        task, dataset, name = rows.select(of).row(0)
        hits = rows.filter(pl.col("truth") == pl.col("predicted"))
        right = int(hits["n"].sum()) / int(rows["n"].sum())
        worst = rows.filter(pl.col("truth") != pl.col("predicted")).sort("n", descending=True)
        words = f"{right:.1%} right"
        if worst.height:
            error = worst.row(0, named=True)
            words += f"; most often wrong: {error['truth']} taken for {error['predicted']}"
        title = f"{task}, {dataset}: {name}"
        file = f"confusion-{task}-{dataset}-{name}".replace("/", "-").replace(":", "-")
        yield ReportFigure(file, title, f"{words}.", plots.confusion(rows, title))
