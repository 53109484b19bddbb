"""Games that were declared and played in an installation: kept by the move, played on, read again.

Declarations are in `declared_games` beside it. Moves and strategies of a game in which a
language model plays are stored one by one, before the next thing is asked for. Games of scripted
agents are computed again whenever they are read: that takes a fraction of a second.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from random import Random
from typing import Final

import pyarrow as pa

from genept.language_models.chats import Chat, ChatOutcome, RefusedChatError
from genept.language_models.completion import complete
from genept.language_models.games.declared_games import DeclaredGame
from genept.language_models.games.donor_game import GameError, play
from genept.language_models.games.donor_rules import (
    Agent,
    GameResult,
    Learn,
    Move,
    PausedGameError,
)
from genept.language_models.games.language_agents import (
    Ask,
    LanguageAgent,
    founding,
    learner,
)
from genept.language_models.games.scripted_agents import SCRIPTED, imitate
from genept.language_models.model_registry import LanguageModels
from genept.storage import Lease, ObjectStore, Registrations, ShardCache

MERGED_AT: Final = 32
"""Objects from which on those of a game are merged."""


class GameLog(ShardCache[str]):
    """Moves and strategies of one game, as JSON by their place in it."""

    def rows_of(self, addresses: Sequence[str], values: Sequence[str]) -> pa.Table:
        """Places and JSON as rows."""
        return pa.table({"place": list(addresses), "json": list(values)})

    def values_in(self, rows: pa.Table) -> tuple[Sequence[str], Sequence[str]]:
        """Places and JSON of a shard."""
        return rows["place"].to_pylist(), rows["json"].to_pylist()

    def add(self, place: str, fields: Mapping[str, object]) -> None:
        """Store what happened at a place, and now and then merge the objects."""
        self.keep([place], [json.dumps(fields)])
        if len(self.known()) % MERGED_AT == 0:
            self.compact()

    @property
    def moves(self) -> list[Move]:
        """The moves in the order in which they were made."""
        known = self.known()
        places = sorted(place for place in known if place.startswith("move/"))
        return [Move(**json.loads(known[place])) for place in places]


@dataclass(frozen=True)
class PlayedGame:
    """A game as it stands.

    Parameters
    ----------
    declared
        Rules and players.
    result
        Moves and generations.
    n_new, seconds
        Moves that were made now, and how long that took with what was asked for it.
    """

    declared: DeclaredGame
    result: GameResult
    n_new: int = 0
    seconds: float = 0.0


class PlayedGames:
    """The games of an installation.

    Parameters
    ----------
    store, product
        Where they are kept.
    models
        The language models that may play.
    """

    def __init__(self, store: ObjectStore, product: str, models: LanguageModels) -> None:
        self.store, self.models = store, models
        self._folder = f"{product}/cache/games/"

    @property
    def declared(self) -> Registrations[DeclaredGame]:
        """The declarations by id."""
        return Registrations(self.store, f"{self._folder}declared/", DeclaredGame, "game")

    def read(self, game: DeclaredGame) -> PlayedGame:
        """A game as it stands; nobody is asked for anything.

        Raises `GameError` if it was recorded under rules that this version plays otherwise.
        """

        def unasked(_: Chat) -> ChatOutcome:
            raise PausedGameError

        log = None if game.is_scripted else self._log(game)
        return PlayedGame(game, _played(game, dict.fromkeys(game.models, unasked), log, False))

    def play(
        self,
        game: DeclaredGame,
        seconds: float | None = None,
        moved: Callable[[Move], None] = lambda _: None,
        waiting: Callable[[str], None] = lambda _: None,
    ) -> PlayedGame:
        """Declare a game and play it, or go on with it.

        Parameters
        ----------
        game
            What is played.
        seconds
            No question is asked after so many; None: the game is played to its end.
        moved
            Called with each new move, once it is stored.
        waiting
            Called with the reason if another process plays the same game and has to be waited for.

        Returns
        -------
        PlayedGame
            The same whether the game was interrupted or not.

        Raises
        ------
        ChatError
            A model is not available, or cannot be asked any more; what it answered is kept.
        """
        if unavailable := [why for id_ in game.models if (why := self.models.unavailable(id_))]:
            raise RefusedChatError("; ".join(unavailable))
        self.declared.add(game.id, game)
        if game.is_scripted:
            return self.read(game)
        began, made = time.monotonic(), list[Move]()

        def count(move: Move) -> None:
            made.append(move)
            moved(move)

        with ExitStack() as stack:
            key = f"{self._folder}leases/{game.id}.json"
            stack.enter_context(Lease(self.store, key, f"playing {game.id}", waiting))
            until = None if seconds is None else began + seconds
            asks = {id_: self._ask(stack, id_, until) for id_ in game.models}
            result = _played(game, asks, self._log(game), True, count)
        return PlayedGame(game, result, len(made), time.monotonic() - began)

    def _log(self, game: DeclaredGame) -> GameLog:
        return GameLog(self.store, f"{self._folder}logs/{game.id}/")

    def _ask(self, stack: ExitStack, id_: str, until: float | None) -> Ask:
        service = stack.enter_context(self.models.open(id_))
        cache, limit = self.models.cache(service, self.store), self.models.spending_limit

        def ask(chat: Chat) -> ChatOutcome:
            if until is not None and time.monotonic() > until:
                raise PausedGameError
            return complete(service, cache, [chat], limit, show=False)[0]

        return ask


def _played(
    game: DeclaredGame,
    asks: Mapping[str, Ask],
    log: GameLog | None,
    keep: bool,
    moved: Callable[[Move], None] = lambda _: None,
) -> GameResult:
    """Play what is not recorded yet; `keep` says whether that is recorded."""
    recorded = log.moves if log else []
    number = len(recorded)

    def record(move: Move) -> None:
        nonlocal number
        if keep and log is not None:
            log.add(f"move/{number:08d}", asdict(move))
        number += 1
        moved(move)

    learn = _learning(game, asks, log, keep)
    try:
        founders = [
            learn((_founder(game, asks, place),), founding(game.rules, place))
            for place in range(game.rules.n_agents)
        ]
    except PausedGameError:
        return GameResult((), (), is_complete=False)
    return play(game.rules, founders, learn, recorded, record)


@dataclass(frozen=True)
class _Newcomer:
    """A model that has no strategy yet."""

    player: str
    strategy: str = ""

    def give(self, _: object) -> float:
        raise AssertionError("who has no strategy does not play")


def _founder(game: DeclaredGame, asks: Mapping[str, Ask], place: int) -> Agent:
    player = game.players[place % len(game.players)]
    if player not in asks and player not in SCRIPTED:
        raise GameError(f"{player!r} is no strategy of this version")
    return _Newcomer(player) if player in asks else SCRIPTED[player]


def _learning(
    game: DeclaredGame, asks: Mapping[str, Ask], log: GameLog | None, keep: bool
) -> Learn:
    """How agents learn: as the one of their parents that lots choose, a script or a model.

    Strategies of models are taken from the log, or recorded in it.
    """
    rules, number = game.rules, 0

    def learn(parents: Sequence[Agent], random: Random) -> Agent:
        nonlocal number
        place, number = f"strategy/{number:08d}", number + 1
        player = getattr(random.choice(parents), "player", "")
        if player not in asks:
            scripted = [parent for parent in parents if getattr(parent, "player", "") == player]
            return imitate(scripted, random)
        known = log.known().get(place) if log else None
        if known is not None:
            strategy = json.loads(known)["strategy"]
            return LanguageAgent(strategy, rules, asks[player], game.sampling, player)
        taught = [parent for parent in parents if not isinstance(parent, _Newcomer)]
        agent = learner(rules, asks[player], game.sampling, player)(taught, random)
        if keep and log is not None:
            log.add(place, {"strategy": agent.strategy})
        return agent

    return learn
