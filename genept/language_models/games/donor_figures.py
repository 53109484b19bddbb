"""Figures of Donor Games, of the rows of their tables: resources, shares given, lineages.

The same rows give the same bytes on one machine. Games are drawn beside the controls of the same
rules; controls are grey.
"""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from genept.common import ReportFigure, new_figure, png_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Final = ("#1f6f43", "#c0392b", "#2c5aa0", "#b9770e", "#6c3483")
GREY: Final = "#8a8a8a"
DASHES: Final = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
MOST_GAMES: Final = 5
"""Games of the same rules in a figure, and lineages on a page; the tables hold the others."""


def draw_games(
    games: pl.DataFrame, moves: pl.DataFrame, strategies: pl.DataFrame
) -> list[ReportFigure]:
    """Draw the games of each set of rules beside their controls, and the lineage of each game.

    Parameters
    ----------
    games, moves, strategies
        Rows of tables `donor_games`, `donor_moves` and `donor_strategies`.

    Returns
    -------
    list of ReportFigure
        Games without a move are left out.
    """
    figures: list[ReportFigure] = []
    begun = games.filter(pl.col("n_moves") > 0).sort("rules", "is_control", "game_id")
    for (rules,), rows in begun.group_by("rules", maintain_order=True):
        others = rows.filter(~pl.col("is_control"))[:MOST_GAMES]
        shown = pl.concat([rows.filter("is_control"), others])
        figures.append(_resources(str(rules), shown, moves, strategies))
        figures.append(_shares(str(rules), shown, moves))
        figures += [_lineage(id_, strategies.filter(game_id=id_)) for id_ in others["game_id"]]
    return figures


def mean_resources(moves: pl.DataFrame, strategies: pl.DataFrame) -> pl.DataFrame:
    """Compute what agents have on average before each round, and after the last of a generation.

    Parameters
    ----------
    moves, strategies
        Rows of one game.

    Returns
    -------
    pl.DataFrame
        Columns ``generation``, ``round`` and ``wealth``; the end of a generation is the round after
        its last one. A round that is not over is left out.
    """
    n_agents = strategies.filter(generation=0).height
    rounds = moves.group_by("generation", "round").agg(pl.mean("wealth"), n=pl.len())
    whole = rounds.filter(pl.col("n") == n_agents).drop("n")
    last = whole.group_by("generation").agg((pl.max("round") + 1).alias("round"))
    ends = strategies.group_by("generation").agg(pl.mean("wealth")).join(last, on="generation")
    columns = ["generation", "round", "wealth"]
    return pl.concat([whole.select(columns), ends.select(columns)]).sort("generation", "round")


def _resources(
    rules: str, games: pl.DataFrame, moves: pl.DataFrame, strategies: pl.DataFrame
) -> ReportFigure:
    figure, axes = _figure(9, 4.4)
    ends = []
    for style, game in _styled(games):
        id_, n_rounds = game["game_id"], game["n_rounds"]
        rows = mean_resources(moves.filter(game_id=id_), strategies.filter(game_id=id_))
        for number, (_, of) in enumerate(rows.group_by("generation", maintain_order=True)):
            at = of["generation"] + of["round"] / n_rounds
            label = _name(game) if number == 0 else None
            axes.plot(at.to_numpy(), of["wealth"].to_numpy(), label=label, **style)
        if game["last_wealth"] is not None:
            ends.append(f"{_name(game)} {game['first_wealth']:.1f} to {game['last_wealth']:.1f}")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("generation", fontsize=8)
    axes.set_ylabel("mean units of an agent", fontsize=8)
    title = "Mean resources by round and generation"
    words = f"Rules {rules}. At the end of the first and of the last whole generation: "
    return ReportFigure(
        f"resources-{rules}", title, words + "; ".join(ends) + ".", _finished(figure, axes, title)
    )


def _shares(rules: str, games: pl.DataFrame, moves: pl.DataFrame) -> ReportFigure:
    figure, axes = _figure(9, 3.6)
    sentences = []
    for style, game in _styled(games):
        rows = moves.filter(game_id=game["game_id"]).group_by("generation").agg(pl.mean("share"))
        rows = rows.sort("generation")
        axes.plot(
            rows["generation"].to_numpy(), rows["share"].to_numpy(), marker="o", markersize=3,
            label=_name(game), **style,
        )  # fmt: skip
        sentences.append(f"{_name(game)} {rows['share'][0]:.0%} to {rows['share'][-1]:.0%}")
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("generation", fontsize=8)
    axes.set_ylabel("mean share given", fontsize=8)
    title = "Share of its wealth that a donor gives"
    words = f"Rules {rules}. From the first to the last generation: {'; '.join(sentences)}."
    return ReportFigure(f"shares-{rules}", title, words, _finished(figure, axes, title))


def _lineage(id_: str, strategies: pl.DataFrame) -> ReportFigure:
    """Agents by generation, the richest on top; lines from whom they learned."""
    ranked = strategies.with_columns(
        place=pl.col("wealth").rank("ordinal").over("generation") - 1,
    )
    places = {
        (generation, agent): place
        for generation, agent, place in ranked.select("generation", "agent", "place").iter_rows()
    }
    figure, axes = _figure(9, 4.4)
    for row in ranked.sort("generation", "agent").iter_rows(named=True):
        at = (row["generation"], places[row["generation"], row["agent"]])
        survived = row["origin"] == "survivor"
        for parent in row["parents"]:
            before = (row["generation"] - 1, places[row["generation"] - 1, parent])
            axes.plot(
                (before[0], at[0]), (before[1], at[1]), zorder=1,
                linewidth=1.6 if survived else 0.5,
                color=COLOURS[0] if survived else GREY, alpha=1.0 if survived else 0.6,
            )  # fmt: skip
        axes.plot(
            *at, "o", zorder=2, markersize=4 + 1.2 * row["n_children"] ** 0.5,
            color=COLOURS[0] if survived else COLOURS[2],
        )  # fmt: skip
    axes.set_xlabel("generation", fontsize=8)
    axes.set_ylabel("rank by resources, the richest on top", fontsize=8)
    n_learners = strategies.filter(origin="learner").height
    n_different = strategies["strategy"].n_unique()
    words = (
        "Green: a strategy that survived; blue: one that is new; grey lines: from whom a new agent "
        f"learned. {strategies.height} places of agents, {n_learners} of them new after the first "
        f"generation, {n_different} different strategies."
    )
    title = f"Lineage of strategies, {id_}"
    figure_name = "".join(letter if letter.isalnum() else "-" for letter in id_.lower())
    return ReportFigure(
        f"lineage-{figure_name}", title, words, _finished(figure, axes, title, legend=False)
    )


def _styled(games: pl.DataFrame) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """How each game is drawn: controls grey and dashed in turn."""
    colours, dashes = cycle(COLOURS), cycle(DASHES)
    styled = []
    for game in games.iter_rows(named=True):
        if game["is_control"]:
            style = {"color": GREY, "linestyle": next(dashes), "linewidth": 1.1}
        else:
            style = {"color": next(colours), "linestyle": "-", "linewidth": 1.8}
        styled.append((style, game))
    return styled


def _name(game: dict[str, Any]) -> str:
    players = game["players"]
    assert isinstance(players, list)  # noqa: S101
    name = " + ".join(players)
    return f"{name} (control)" if game["is_control"] else name


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = new_figure((width, height), dpi=110)
    return figure, figure.subplots()


def _finished(figure: Figure, axes: Axes, title: str, *, legend: bool = True) -> bytes:
    axes.locator_params(axis="x", integer=True)
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=7)
    if legend:
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return png_bytes(figure)
