"""The page of the Donor Games of an installation, in the audit of a release and from the command.

It stands alone: style and pictures are inside. What it shows is computed in
`genept.language_models.games`; how it looks is `genept/client/pages/site/games.html`.
"""

from base64 import b64encode
from collections.abc import Mapping
from importlib.resources import files as resources
from typing import Final

import polars as pl

from genept.client.pages.templates import templates
from genept.language_models.games import (
    DONOR_TABLES,
    PlayedGames,
    draw_games,
    tables_of_games,
)
from genept.storage import Lake

GAMES: Final = "language_models/donor_games.html"
"""Path of the page among the pages of a release."""

MOST_STRATEGIES: Final = 12


def render_games(
    rows: Mapping[str, pl.DataFrame], unreadable: Mapping[str, str] | None = None
) -> bytes:
    """Render the page of games.

    Parameters
    ----------
    rows
        Rows of `donor_games`, `donor_moves` and `donor_strategies` by table.
    unreadable
        Why a game is not shown, by its id.

    Returns
    -------
    bytes
        HTML.
    """
    games, moves, strategies = (rows[name] for name in DONOR_TABLES)
    games = games.sort("rules", "is_control", "game_id")
    figures = draw_games(games, moves, strategies)
    html = (
        templates()
        .get_template("games.html")
        .render(
            style=resources("genept.client.pages").joinpath("site", "style.css").read_text("utf-8"),
            games=games.rows(named=True),
            unreadable=unreadable or {},
            richest=_richest(games, strategies),
            figures=[
                (figure.title, figure.words, b64encode(figure.png).decode()) for figure in figures
            ],
        )
    )
    return f"{html}\n".encode()


def games_pages(lake: Lake, games: PlayedGames) -> dict[str, bytes]:
    """Render the page of the games that were played here.

    Parameters
    ----------
    lake
        Where their tables are kept.
    games
        The games.

    Returns
    -------
    dict of str to bytes
        The page by its path; none if nothing was played.
    """
    if not games.declared.ids:
        return {}
    parts, unreadable = tables_of_games(lake, games)
    rows = {
        name: lake.read([part for part in parts if part.table == name]) for name in DONOR_TABLES
    }
    return {GAMES: render_games(rows, unreadable)}


def _richest(games: pl.DataFrame, strategies: pl.DataFrame) -> list[dict[str, object]]:
    """The richest agents of the last generation of each game that is no control."""
    last = strategies.join(games.filter(~pl.col("is_control")).select("game_id"), on="game_id")
    last = last.filter(pl.col("generation") == pl.max("generation").over("game_id"))
    order = ["game_id", "wealth", "agent"]
    ordered = last.sort(order, descending=[False, True, False])
    return ordered.group_by("game_id", maintain_order=True).head(MOST_STRATEGIES).rows(named=True)
