"""Tables `donor_games`, `donor_moves` and `donor_strategies`: each game beside its controls.

Drawing them is `genept.language_models.games.donor_figures`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

import pyarrow as pa

from genept.language_models.games.declared_games import DeclaredGame, controls_of
from genept.language_models.games.donor_game import GameError
from genept.language_models.games.donor_rules import GameResult, Move
from genept.language_models.games.played_games import PlayedGame, PlayedGames
from genept.schema.tables import WORKING_TABLES
from genept.storage import Lake, NewPart, Origin, Part, sha256_of

DONOR_TABLES: Final = ("donor_games", "donor_moves", "donor_strategies")

_CODE: Final = (
    "genept.language_models.games.declared_games",
    "genept.language_models.games.donor_game",
    "genept.language_models.games.donor_rules",
    "genept.language_models.games.donor_tables",
    "genept.language_models.games.played_games",
    "genept.language_models.games.scripted_agents",
    "genept.schema.tables",
)


def donor_rows(played: PlayedGame) -> dict[str, list[dict[str, Any]]]:
    """What the tables say of one game.

    Parameters
    ----------
    played
        The game.

    Returns
    -------
    dict of str to list of dict
        Rows by table.
    """
    declared, result = played.declared, played.result
    id_ = declared.id
    return {
        "donor_games": [_game_row(declared, result)],
        "donor_moves": [
            {"game_id": id_, "player": _player(result, move), "share": move.share, **asdict(move)}
            for move in result.moves
        ],
        "donor_strategies": [{"game_id": id_, **row} for row in _strategy_rows(result)],
    }


def games_with_controls(games: Iterable[DeclaredGame]) -> list[DeclaredGame]:
    """Add to games what they are compared with.

    Parameters
    ----------
    games
        Declared games.

    Returns
    -------
    list of DeclaredGame
        Each once, and the controls of each of their rules.
    """
    each = {game.id: game for game in games}
    for game in list(each.values()):
        each |= {control.id: control for control in controls_of(game.rules)}
    return list(each.values())


def build_donor_tables(
    lake: Lake, games: PlayedGames, declared: Sequence[DeclaredGame]
) -> tuple[list[Part], dict[str, str]]:
    """Build the tables of games as they stand; nobody is asked for anything.

    Parameters
    ----------
    lake
        Where the tables are kept.
    games
        The games of the installation.
    declared
        Those that the tables hold, without their controls, which are added.

    Returns
    -------
    parts
        Of all three tables; a game that did not change is not written again.
    unreadable
        Why a game is left out, by its id: an earlier version recorded it, and this one plays its
        rules otherwise.
    """
    parts: list[Part] = []
    unreadable: dict[str, str] = {}
    for game in games_with_controls(declared):
        try:
            rows = donor_rows(games.read(game))
        except GameError as error:
            unreadable[game.id] = str(error)
            continue
        settings = {"game": game.id, "rows": sha256_of(rows)}
        made = [
            NewPart(
                name,
                pa.Table.from_pylist(rows[name], schema=WORKING_TABLES[name].schema()),
                (game.id,),
            )
            for name in DONOR_TABLES
            if rows[name]
        ]
        origin = Origin(code=_CODE, settings=settings)
        parts += lake.build(f"donor_games/{game.id}", origin, lambda made=made: made)  # type: ignore[misc]
    return parts, unreadable


def fault_kind(fault: str) -> str:
    """Say what kind of fault a move has.

    Parameters
    ----------
    fault
        Of a `Move`.

    Returns
    -------
    str
        Empty if there is none.
    """
    if not fault:
        return ""
    if fault.startswith("no answer"):
        return "declined" if "declined" in fault else "no answer in form"
    if "no number" in fault:
        return "no number"
    return "not allowed" if "do not allow" in fault else "outside of bounds"


def _game_row(declared: DeclaredGame, result: GameResult) -> dict[str, Any]:
    rules, moves, scores = declared.rules, result.moves, result.scores
    ended = [score for score in scores if score.is_complete]
    begun = [score for score in scores if score.n_moves]
    faults = Counter(fault_kind(move.fault) for move in moves if move.fault)
    return {
        "game_id": declared.id,
        "players": list(declared.players),
        "models": [f"{id_}: {model}" for id_, model in sorted(declared.models.items())],
        "is_control": declared.is_control,
        **rules.model_dump(),
        "rules": rules_id(declared),
        "n_moves": len(moves),
        "is_complete": result.is_complete,
        "first_wealth": ended[0].mean_wealth if ended else None,
        "last_wealth": ended[-1].mean_wealth if ended else None,
        "first_share": begun[0].mean_share if begun else None,
        "last_share": begun[-1].mean_share if begun else None,
        "given": math.fsum(move.given for move in moves),
        "punished": math.fsum(move.punished for move in moves),
        "n_noise": sum(move.is_noise for move in moves),
        "n_faults": sum(faults.values()),
        "faults": [f"{kind}: {n}" for kind, n in sorted(faults.items())],
        "n_rejected": sum(move.n_rejected for move in moves),
    }


def rules_id(declared: DeclaredGame) -> str:
    """Return a short hash of the rules: games with the same are compared.

    Parameters
    ----------
    declared
        A game.

    Returns
    -------
    str
        10 hex digits.
    """
    return sha256_of(declared.rules.model_dump(mode="json"))[:10]


def _player(result: GameResult, move: Move) -> str:
    return str(getattr(result.scores[move.generation].agents[move.donor], "player", ""))


def _strategy_rows(result: GameResult) -> Iterable[dict[str, Any]]:
    for generation, score in enumerate(result.scores):
        later = result.scores[generation + 1 : generation + 2]
        children = Counter(
            parent
            for following in later
            for parents in following.parents[following.n_survivors :]
            for parent in parents
        )
        for number, agent in enumerate(score.agents):
            origin = "founder"
            if generation:
                origin = "survivor" if number < score.n_survivors else "learner"
            yield {
                "generation": generation,
                "agent": number,
                "player": str(getattr(agent, "player", "")),
                "strategy": agent.strategy,
                "origin": origin,
                "parents": list(score.parents[number]),
                "wealth": score.wealth[number],
                "n_children": children[number],
            }
