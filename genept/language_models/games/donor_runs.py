"""What a command or a job plays: games within some minutes; which are left out, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from genept.language_models.chats import ChatError
from genept.language_models.games.declared_games import DeclaredGame, controls_of
from genept.language_models.games.donor_rules import DonorGame, Move
from genept.language_models.games.donor_tables import build_donor_tables, donor_rows
from genept.language_models.games.played_games import PlayedGame, PlayedGames
from genept.schema.tables import WORKING_TABLES
from genept.storage import Lake, Part
from genept.text import MILLION

MINUTE: Final = 60.0

PROMPT_TOKENS: Final = 500
"""More than what a prompt of the game has besides strategies."""


@dataclass(frozen=True)
class GameRun:
    """What was played.

    Parameters
    ----------
    games
        Those that were wanted, as they stand now.
    left_out
        Why a game was not played, or not to its end, by its players.
    """

    games: list[PlayedGame]
    left_out: dict[str, str]


def play_games(
    games: PlayedGames,
    rules: DonorGame,
    wanted: Sequence[Sequence[str]],
    minutes: float | None = None,
    moved: Callable[[Move], None] = lambda _: None,
    waiting: Callable[[str], None] = lambda _: None,
) -> GameRun:
    """Play games of the same rules, or go on with them.

    Parameters
    ----------
    games
        Of the installation.
    rules
        The rules.
    wanted
        Players of each game: scripted strategies and ids of language models.
    minutes
        No question is asked after so many, of all games together; None: they are played to their
        end.
    moved, waiting
        As in `PlayedGames.play`.

    Returns
    -------
    GameRun
        Raises `RefusedChatError` if a player is unknown; a model that is not available is left
        out.
    """
    declared = [DeclaredGame.of(rules, players, games.models) for players in wanted]
    played: list[PlayedGame] = []
    left_out: dict[str, str] = {}
    left = None if minutes is None else minutes * MINUTE
    for game in declared:
        name = " + ".join(game.players)
        try:
            result = games.play(game, left, moved, waiting)
        except ChatError as error:
            left_out[name] = str(error)
            continue
        played.append(result)
        if left is not None:
            left = max(0.0, left - result.seconds)
        if not result.result.is_complete:
            n = len(result.result.moves)
            left_out[name] = f"{n:,} of {rules.n_moves:,} moves: play again to go on"
    return GameRun(played, left_out)


def beside_controls(games: PlayedGames, run: GameRun) -> dict[str, pl.DataFrame]:
    """Put games beside the controls of the same rules.

    Parameters
    ----------
    games
        Of the installation.
    run
        What was played.

    Returns
    -------
    dict of str to pl.DataFrame
        Rows of the tables of games by table; games before controls.
    """
    played = {game.declared.id: game for game in run.games}
    for game in run.games:
        for control in controls_of(game.declared.rules):
            played.setdefault(control.id, games.read(control))
    rows = [donor_rows(game) for game in played.values()]
    return {
        name: pl.DataFrame(
            [row for of in rows for row in of[name]],
            schema=_polars_schema(name),
            orient="row",
        )
        for name in rows[0]
    }


def _polars_schema(name: str) -> pl.Schema:
    return pl.DataFrame(WORKING_TABLES[name].schema().empty_table()).schema


def tables_of_games(
    lake: Lake, games: PlayedGames, rules: DonorGame | None = None
) -> tuple[list[Part], dict[str, str]]:
    """Build the tables of all declared games, and of the controls of these rules.

    Parameters
    ----------
    lake
        Where tables are kept.
    games
        Of the installation.
    rules
        Rules whose controls are there also if nothing else was played.

    Returns
    -------
    parts, unreadable
        As of `build_donor_tables`.
    """
    declared = games.declared.all()
    return build_donor_tables(lake, games, [*declared, *(controls_of(rules) if rules else ())])


def forecast_game(games: PlayedGames, game: DeclaredGame) -> float:
    """Forecast the most that the rest of a game may cost; nothing is asked.

    Parameters
    ----------
    games
        Of the installation.
    game
        What is to be played.

    Returns
    -------
    float
        US$, as if the dearest of its models played everywhere; without repetitions of answers that
        break their form.
    """
    rules = game.rules
    prices = [
        (model.dollars_per_million_tokens, model.dollars_per_million_output_tokens)
        for model in (games.models.declared[id_] for id_ in game.models)
    ]
    answer = game.sampling.max_output_tokens
    n_moves = rules.n_moves - len(games.read(game).result.moves)
    if not n_moves:
        return 0.0
    n_learners = rules.n_agents + (rules.n_generations - 1) * (rules.n_agents - rules.n_survivors)
    read = n_moves * (PROMPT_TOKENS + answer)
    read += n_learners * (PROMPT_TOKENS + answer * rules.n_survivors)
    written = (n_moves + n_learners) * answer
    return max((read * into + written * out for into, out in prices), default=0.0) / MILLION
