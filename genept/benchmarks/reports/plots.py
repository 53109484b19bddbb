"""Figures of the leaderboard, as PNG files from published rows.

The same rows give the same bytes on one machine. A score below a control is red. What is drawn is
chosen in `genept.benchmarks.reports.leaderboard_figures`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.benchmarks.task_scores import representations
from genept.common import new_figure, png_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BELOW: Final = "#c0392b"
REAL: Final = "#1f6f43"
OPEN: Final = "#8a8a8a"
MOST: Final = 40
"""Rows or columns of a picture at most; more cannot be read."""

MOST_PROGRAMS: Final = 25


def heat_map(task_scores: pl.DataFrame) -> bytes:
    """Tasks × representations, coloured within each task from its best control to its best score.

    Parameters
    ----------
    task_scores
        Rows of `task_scores.beside_controls`: one score per representation and task.
    """
    control = dict(task_scores.select("representation", "is_control").iter_rows())
    names = representations(task_scores, controls=True)[:MOST]
    shown = task_scores.filter(pl.col("representation").is_in(names))
    tasks = dict(shown.group_by("task", "dataset", "metric", maintain_order=True))
    shade = np.full((len(tasks), len(names)), np.nan)
    # Tasks are many and their names long, so they are the rows: a page is taller than wide.
    figure, axes = _figure(3.6 + 0.5 * len(names), 2.2 + 0.25 * len(tasks))
    for row, scores in enumerate(tasks.values()):
        values = scores["value"].to_list()
        low, high = min(values), max(values)
        for name, value, is_below in scores.select(
            "representation", "value", "is_below"
        ).iter_rows():
            at = names.index(name)
            shade[row, at] = (value - low) / (high - low) if high > low else 0.5
            axes.text(at, row, f"{value:.3f}", ha="center", va="center", fontsize=8,
                      color=BELOW if is_below else "black",
                      fontweight="bold" if is_below else "normal")  # fmt: skip
    axes.imshow(np.ma.masked_invalid(shade), cmap="Greens", vmin=0, vmax=1.8, aspect="auto")
    marked = [f"{name} (control)" if control[name] else name for name in names]
    axes.set_xticks(range(len(names)), marked, rotation=50, ha="right", fontsize=8)
    labels = [f"{task}, {dataset}: {metric}" for task, dataset, metric in tasks]
    axes.set_yticks(range(len(tasks)), labels, fontsize=7.5)
    for at, name in enumerate(names):
        if control[name]:
            axes.get_xticklabels()[at].set_color(OPEN)
    return _finished(figure, axes, "Spaces by tasks; red: below a control; empty: not scored")


def critical_difference(ranks: Mapping[str, float], apart: Callable[[str, str], bool],
                        n_tasks: int) -> bytes:  # fmt: skip
    """Mean ranks over tasks, the best left; a bar joins those that are not separable.

    Parameters
    ----------
    apart
        Whether two representations are separable: on some task, and on none the other way round.
    n_tasks
        Number of tasks that all of these representations were scored on.
    """
    names = sorted(ranks, key=lambda name: (ranks[name], name))[:MOST]
    bars = joined(names, apart)
    better = (len(names) + 1) // 2
    figure, axes = _figure(9.5, 1.3 + 0.26 * better + 0.14 * len(bars))
    first, last = 1.0, max(*ranks.values(), 1.5)
    margin = 0.6 * (last - first)  # beside the scale, for the names
    top = -0.5 * len(bars)
    for at, (best, worst) in enumerate(bars):
        ends = (ranks[names[best]] - 0.01 * margin, ranks[names[worst]] + 0.01 * margin)
        height = -0.5 * (at + 1)
        axes.plot(ends, (height, height), color="black", linewidth=3.5, solid_capstyle="butt")
    sides = (
        (names[:better], first - 0.04 * margin, "right"),
        (names[better:][::-1], last + 0.04 * margin, "left"),
    )
    for named, edge, aligned in sides:  # from the ends of the scale inwards: no line meets a name
        for at, name in enumerate(named):
            height, rank = top - 1 - at, ranks[name]
            axes.plot((rank, rank, edge), (0, height, height), color=OPEN, linewidth=0.8)
            axes.text(edge, height, f" {name}  {rank:.2f} ", fontsize=8, va="center", ha=aligned)
    axes.plot((first, last), (0, 0), color="black", linewidth=1)
    for rank in range(1, int(last) + 1):
        axes.text(rank, 0.3, str(rank), ha="center", fontsize=8)
    axes.set_xlim(first - margin, last + margin)
    axes.set_ylim(top - better - 0.5, 1.5)  # leaves space for the numbers below the title
    axes.set_axis_off()
    return _finished(
        figure, axes, f"Mean rank over {n_tasks} tasks; a bar joins those that are not separable"
    )


def joined(names: Sequence[str], apart: Callable[[str, str], bool]) -> list[tuple[int, int]]:
    """Longest runs of neighbouring names of which no two are apart: first and last."""
    runs: list[tuple[int, int]] = []
    for first in range(len(names)):
        last = first
        while last + 1 < len(names) and not any(
            apart(names[at], names[last + 1]) for at in range(first, last + 1)
        ):
            last += 1
        if last > first and not any(a <= first and last <= b for a, b in runs):
            runs.append((first, last))
    return runs


def ablation(differences: pl.DataFrame) -> bytes:
    """What each part of a description adds, with intervals; filled: separable.

    Parameters
    ----------
    differences
        Rows of `task_scores.ablations`.
    """
    rows = differences.sort("adds", "task", "embedder", descending=True).tail(MOST).rows(named=True)
    figure, axes = _figure(9, 1.2 + 0.24 * len(rows))
    for at, row in enumerate(rows):
        colour = OPEN if not row["separable"] else REAL if row["difference"] > 0 else BELOW
        axes.plot((row["ci_low"], row["ci_high"]), (at, at), color=colour, linewidth=1.6)
        fill = colour if row["separable"] else "white"
        axes.plot(row["difference"], at, "o", color=colour, markerfacecolor=fill, markersize=5)
    axes.axvline(0, color="black", linewidth=0.8)
    names = [f"{it['adds']}, to {it['fewer']} · {it['task']} · {it['embedder']}" for it in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=7)
    axes.tick_params(axis="x", labelsize=7)
    return _finished(figure, axes, "What is added by …, paired difference with 95 % interval")


def confusion(counted: pl.DataFrame, title: str) -> bytes:
    """Labels as published by labels as predicted, per cent of each row.

    Parameters
    ----------
    counted
        Rows of table `benchmark_confusions` of one representation and task.
    """
    totals = (
        counted.group_by("truth").agg(pl.sum("n")).sort(["n", "truth"], descending=[True, False])
    )
    labels = totals["truth"].to_list()
    labels += sorted(set(counted["predicted"]) - set(labels))
    place = {label: at for at, label in enumerate(labels)}
    table = np.zeros((len(labels), len(labels)))
    for truth, predicted, n in counted.select("truth", "predicted", "n").iter_rows():
        table[place[truth], place[predicted]] = n
    share = 100 * table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    size = 2.4 + 0.36 * len(labels)
    figure, axes = _figure(size + 0.9, size)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    for row, column in np.argwhere(share >= 0.5):
        colour = "white" if share[row, column] > 60 else "black"
        axes.text(column, row, f"{share[row, column]:.0f}", ha="center", va="center",
                  fontsize=6.5, color=colour)  # fmt: skip
    counts = [f"{label} ({int(table[at].sum()):,})" for at, label in enumerate(labels)]
    axes.set_yticks(range(len(labels)), counts, fontsize=7)
    axes.set_xticks(range(len(labels)), labels, rotation=60, ha="right", fontsize=7)
    axes.set_xlabel("predicted, % of the row", fontsize=8)
    axes.set_ylabel("published (how often tested)", fontsize=8)
    return _finished(figure, axes, title)


def program_map(active: pl.DataFrame, names: Mapping[int, str], title: str) -> bytes:
    """Programs × cell types, the programs whose activity differs most between types.

    Parameters
    ----------
    active
        Rows of table `program_activity` of one space and collection.
    names
        What to call each program.
    """
    spread = active.group_by("program").agg(
        (pl.max("activity") - pl.min("activity")).alias("range")
    )
    ordered = spread.sort(["range", "program"], descending=[True, False])
    chosen = ordered["program"].head(MOST_PROGRAMS)
    types = active["cell_type"].unique().sort().to_list()
    levels = active.select("program", "cell_type", "activity").iter_rows()
    value = {(program, kind): level for program, kind, level in levels}
    table = np.array([[value[program, kind] for kind in types] for program in chosen])
    rows, columns = _seriated(table), _seriated(table.T)
    figure, axes = _figure(4.6 + 0.42 * len(types), 1.8 + 0.24 * len(chosen))
    limit = float(np.abs(table).max()) or 1.0
    drawn = axes.imshow(
        table[np.ix_(rows, columns)], cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto"
    )
    labels = [f"{names.get(chosen[int(at)], '')} · {chosen[int(at)]}" for at in rows]
    axes.set_yticks(range(len(chosen)), labels, fontsize=7)
    axes.set_xticks(range(len(types)), [types[int(at)] for at in columns],
                    rotation=50, ha="right", fontsize=7)  # fmt: skip
    bar = figure.colorbar(drawn, ax=axes, shrink=0.6)
    bar.set_label("activity, standard deviations", fontsize=7)
    bar.ax.tick_params(labelsize=6)
    return _finished(figure, axes, title)


def cost_map(costs: pl.DataFrame) -> bytes:
    """Points above chance by tokens, a dot for each space.

    Parameters
    ----------
    costs
        Rows of `vector_costs.per_point`.
    """
    figure, axes = _figure(8.5, 4.6)
    for row in costs.iter_rows(named=True):
        axes.plot(row["tokens"], row["points"], "o", color=REAL, markersize=6)
        seconds = "" if row["seconds"] is None else f", {row['seconds']:,.0f} s"
        label = f"  {row['space']}{seconds}, ${row['dollars']:,.2f}"
        axes.text(row["tokens"], row["points"], label, fontsize=7, va="center")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")  # no figure parses formulas
    axes.xaxis.set_minor_formatter("")
    low, high = axes.get_xlim()
    axes.set_xlim(low / 1.2, high * (high / low) ** 0.8)
    axes.set_xlabel("tokens of the descriptions", fontsize=8)
    axes.set_ylabel("points above random vectors, mean over tasks", fontsize=8)
    axes.tick_params(labelsize=7)
    return _finished(figure, axes, "What a space costs, and what it is worth")


def frontier(models: pl.DataFrame) -> bytes:
    """Points above chance by each kind of cost; efficient spaces are joined.

    Parameters
    ----------
    models
        Rows of `model_comparison.compared_spaces`.

    Returns
    -------
    bytes
        PNG: a panel each for seconds, dollars and dimensions, where there are any.
    """
    kinds = {"seconds": "processor seconds", "dollars": "US dollars", "dimensions": "dimensions"}
    shown = {
        kind: rows
        for kind in kinds
        if (rows := models.filter(pl.col(kind) > 0, pl.col("points").is_not_null())).height
    }
    figure = new_figure((4.4 * max(len(shown), 1), 4.2), dpi=110)
    for axes, (kind, rows) in zip(
        figure.subplots(1, max(len(shown), 1), squeeze=False)[0], shown.items(), strict=False
    ):
        for row in rows.iter_rows(named=True):
            colour = REAL if row["is_efficient"] else OPEN
            axes.plot(row[kind], row["points"], "o", color=colour, markersize=6)
            axes.annotate(row["space"], (row[kind], row["points"]), fontsize=6, color=colour,
                          xytext=(4, 3), textcoords="offset points")  # fmt: skip
        if kind != "dimensions":
            best = rows.filter("is_efficient").sort(kind, "points")
            axes.step(best[kind].to_numpy(), best["points"].to_numpy(), color=REAL, where="post",
                      linewidth=0.8)  # fmt: skip
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")  # no figure parses formulas
        axes.xaxis.set_minor_formatter("")
        axes.margins(x=0.35)
        axes.set_xlabel(kinds[kind], fontsize=8)
        axes.tick_params(labelsize=7)
        axes.set_ylabel("points above random vectors, mean over tasks", fontsize=8)
    return png_bytes(figure)


def _seriated(table: NDArray[np.float64]) -> NDArray[np.intp]:
    """Order of the rows in which like stands beside like; as they are where there are few."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    if len(table) < 3:
        return np.arange(len(table))
    return np.asarray(leaves_list(linkage(table, "average", optimal_ordering=True)), np.intp)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = new_figure((width, height), dpi=110)
    return figure, figure.subplots()


def _finished(figure: Figure, axes: Axes, title: str) -> bytes:
    axes.set_title(title, fontsize=9)
    return png_bytes(figure)
