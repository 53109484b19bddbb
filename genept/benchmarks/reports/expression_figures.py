"""Figures of what groups of cells and samples express: their programs, and lineages of their terms.

Scores of representations are shown in `leaderboard_figures`.
"""

from collections.abc import Iterator

import polars as pl

from genept.benchmarks.cells import LINEAGE_TASK
from genept.benchmarks.reports.plots import program_map
from genept.benchmarks.reports.report_figure import MOST_SHOWN, Read
from genept.common import ReportFigure, new_figure, png_bytes

SYMBOLS_SHOWN = 3


def program_figures(read: Read) -> Iterator[ReportFigure]:
    """Where gene programs are active, of one space in each collection."""
    active, members, terms = (
        read(name) for name in ("program_activity", "gene_programs", "program_terms")
    )
    if not active.width or not members.width:
        return
    of_all = active.partition_by(["collection_id", "space"], maintain_order=True)
    in_first_space = {rows["collection_id"][0]: rows for rows in reversed(of_all)}
    for rows in list(in_first_space.values())[::-1][:MOST_SHOWN]:
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
    """Title of each program: its most significant term, and the genes nearest to its mean."""
    nearest = members.sort(["similarity", "symbol"], descending=[True, False])
    symbols = nearest.group_by("program").agg(pl.col("symbol").head(SYMBOLS_SHOWN))
    named = {number: ", ".join(few) for number, few in symbols.iter_rows()}
    if terms.width:
        ordered = terms.filter(space=space).sort("p", "term")
        surest = ordered.unique("program", keep="first", maintain_order=True)
        for number, term in surest.select("program", "term").iter_rows():
            named[number] = f"{term[:44]} ({named[number]})"
    return named


def lineage_figure(results: pl.DataFrame) -> Iterator[ReportFigure]:
    """Areas under the curve of own lineages in descriptions, beside their controls.

    Parameters
    ----------
    results
        Rows of table `benchmark_results`, or a frame without columns.

    Yields
    ------
    ReportFigure
        None where no description was scored.
    """
    rows = results.filter(task=LINEAGE_TASK) if results.width else results
    if rows.is_empty():
        return
    rows = rows.with_columns(
        terms=pl.col("representation").str.replace("@.*", ""),
        control=pl.col("representation").str.extract("@(.*)").fill_null("own lineage"),
    ).sort("dataset", "split", "terms", "control")
    groups = rows.partition_by("dataset", "split", "terms", maintain_order=True)
    figure = new_figure((8.0, 1.2 + 0.5 * len(groups)), dpi=110)
    axes = figure.subplots()
    styles = {
        "own lineage": ("o", "tab:blue", 0.0),
        "other-groups": ("s", "tab:orange", 0.18),
        "shuffled": ("D", "tab:grey", 0.36),
    }
    names = []
    for place, of_group in enumerate(groups):
        dataset, split, terms = of_group.select("dataset", "split", "terms").row(0)
        names.append(f"{dataset}, {split}: {terms}")
        for row in of_group.iter_rows(named=True):
            marker, colour, below = styles[row["control"]]
            label = row["control"] if not place else None
            axes.plot([row["ci_low"], row["ci_high"]], [place + below] * 2, color=colour)
            axes.plot(row["value"], place + below, marker, color=colour, label=label)
    axes.axvline(0.5, color="black", linewidth=0.6, linestyle=":")
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("area under the ROC curve: terms of the own lineage against those of others")
    axes.legend(fontsize=7, loc="lower left")
    title = "Lineages in descriptions of cells and samples"
    axes.set_title(title, fontsize=9)
    own = rows.filter(control="own lineage")
    words = "; ".join(
        f"{row['dataset']}, {row['split']}, {row['terms']} {row['value']:.2f} "
        f"[{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
        for row in own.iter_rows(named=True)
    )
    yield ReportFigure("description-lineages", title, f"{words}.", png_bytes(figure))
