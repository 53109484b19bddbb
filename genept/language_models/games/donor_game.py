"""Playing the Donor Game: who meets whom, what is given, who survives, and going on by the move."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from random import Random

from genept.language_models.games.donor_rules import (
    Action,
    Agent,
    DonorGame,
    GameResult,
    GenerationScore,
    Learn,
    Move,
    PausedGameError,
    Situation,
)
from genept.storage import sha256_of


class GameError(ValueError):
    """A game that cannot be played, or recorded moves that cannot be those of this game."""


def play(
    game: DonorGame,
    founders: Sequence[Agent],
    learn: Learn,
    recorded: Iterable[Move] = (),
    record: Callable[[Move], None] = lambda _: None,
) -> GameResult:
    """Play a game, or go on with one that was interrupted.

    Parameters
    ----------
    game
        Its rules.
    founders
        Agents of the first generation.
    learn
        Makes the agents that take the places of those which do not survive.
    recorded
        Moves of the interrupted game, in order: their agents are not asked again.
    record
        Called with each new move before the next one is asked for.

    Returns
    -------
    GameResult
        Equal whether the game was interrupted or not. It is not complete if an agent, or `learn`,
        raised `PausedGameError`.

    Raises
    ------
    GameError
        There are not as many founders as agents, the recorded moves are of another game, or
        wealth grows beyond what a number can be.
    """
    if len(founders) != game.n_agents:
        raise GameError(f"expected {game.n_agents} founders, got {len(founders)}")
    replayed = iter(recorded)
    generations = [_Generation(game, 0, founders, [()] * game.n_agents, 0)]
    is_complete = True
    try:
        generations[-1].play(replayed, record)
        for number in range(1, game.n_generations):
            generations.append(_successor(game, number, generations[-1], learn))
            generations[-1].play(replayed, record)
    except PausedGameError:
        is_complete = False
    if (excess := next(replayed, None)) is not None:
        raise GameError(f"the recorded game goes on after the last move, with {excess}")
    moves = tuple(move for generation in generations for move in generation.moves)
    scores = tuple(generation.score() for generation in generations)
    return GameResult(moves, scores, is_complete)


def pairs_of(game: DonorGame, generation: int, round_: int) -> list[tuple[int, int]]:
    """Who gives to whom: each agent gives once and receives once, never to itself.

    Parameters
    ----------
    game
        Its rules.
    generation, round_
        Counted from 0.

    Returns
    -------
    list of (int, int)
        Donor and recipient, in the order of the moves.
    """
    order = list(range(game.n_agents))
    _random(game, "pairs", generation, round_).shuffle(order)
    return [*pairwise(order), (order[-1], order[0])]


class _Generation:
    """One generation while it is played."""

    def __init__(
        self,
        game: DonorGame,
        number: int,
        agents: Sequence[Agent],
        parents: Sequence[tuple[int, ...]],
        n_survivors: int,
    ) -> None:
        self.game, self.number = game, number
        self.agents, self.parents, self.n_survivors = agents, parents, n_survivors
        self.wealth = [game.endowment] * game.n_agents
        self.moves: list[Move] = []

    def play(self, replayed: Iterator[Move], record: Callable[[Move], None]) -> None:
        game = self.game
        for round_ in range(game.n_rounds):
            before, played = list(self.moves), list[Move]()
            for donor, recipient in pairs_of(game, self.number, round_):
                move = next(replayed, None)
                if move is None:
                    move = self._asked(round_, donor, recipient, before)
                    record(move)
                else:
                    self._require(move, (self.number, round_, donor, recipient))
                played.append(move)
                self.moves.append(move)
            self.wealth = balance(game, self.wealth, played)
            if not all(map(math.isfinite, self.wealth)):
                raise GameError(
                    f"wealth grows beyond all numbers in round {round_}: fewer rounds, or a "
                    "smaller multiplier"
                )

    def score(self) -> GenerationScore:
        n = len(self.moves)
        return GenerationScore(
            tuple(self.agents),
            tuple(self.wealth),
            math.fsum(move.share for move in self.moves) / n if n else 0.0,
            sum(bool(move.fault) for move in self.moves),
            tuple(self.parents),
            self.n_survivors,
            n,
            n == self.game.n_agents * self.game.n_rounds,
        )

    def _asked(self, round_: int, donor: int, recipient: int, before: Sequence[Move]) -> Move:
        game, number, wealth = self.game, self.number, self.wealth
        chance = _random(game, "noise", number, round_, donor)
        if chance.random() < game.noise:
            given = min(chance.uniform(0.0, wealth[donor]), wealth[donor])
            return Move(number, round_, donor, recipient, wealth[donor], given, is_noise=True)
        situation = Situation(
            number,
            round_,
            wealth[donor],
            wealth[recipient],
            trace_of(before, recipient, game.trace_length),
            _random(game, "move", number, round_, donor),
            game.punishment,
        )
        wanted = self.agents[donor].give(situation)
        action = wanted if isinstance(wanted, Action) else Action(wanted)
        amount, fault = _checked(game, action, wealth[donor])
        given, punished = (0.0, amount) if action.punishes else (amount, 0.0)
        return Move(
            *(number, round_, donor, recipient, wealth[donor], given, fault),
            punished=punished,
            n_rejected=action.n_rejected,
        )

    def _require(self, move: Move, place: tuple[int, ...]) -> None:
        """Raise `GameError` if a recorded move cannot be the one that comes now."""
        expected = (*place, self.wealth[place[2]])
        recorded = (move.generation, move.round, move.donor, move.recipient, move.wealth)
        spent = move.given + move.punished
        if expected != recorded or not 0 <= spent <= move.wealth:
            raise GameError(f"the recorded {move} cannot come here: expected {expected}")


def balance(game: DonorGame, wealth: Sequence[float], moves: Sequence[Move]) -> list[float]:
    """What agents have after a round.

    Parameters
    ----------
    game
        Its rules.
    wealth
        What they had before.
    moves
        Of the round, of every agent one.

    Returns
    -------
    list of float
        Never negative: who is punished loses no more than what it has left.
    """
    gains = [0.0] * len(wealth)
    for move in moves:
        gains[move.donor] -= move.given + move.punished
        gains[move.recipient] += move.given * game.multiplier
    after = [has + gain for has, gain in zip(wealth, gains, strict=True)]
    for move in moves:
        lost = move.punished * game.punishment
        after[move.recipient] = max(0.0, after[move.recipient] - lost)
    return after


def trace_of(moves: Sequence[Move], agent: int, length: int) -> tuple[Move, ...]:
    """What an agent gave last, what the one to whom it gave had given before that, and so on.

    Parameters
    ----------
    moves
        Of the generation, in order.
    agent
        Whose trace it is.
    length
        Most moves of a trace.

    Returns
    -------
    tuple of Move
        The last one first.
    """
    trace: list[Move] = []
    before = math.inf
    while len(trace) < length:
        last = next((m for m in reversed(moves) if m.donor == agent and m.round < before), None)
        if last is None:
            break
        trace.append(last)
        agent, before = last.recipient, last.round
    return tuple(trace)


def _checked(game: DonorGame, action: Action, wealth: float) -> tuple[float, str]:
    """What is given or paid, and what was wrong with what the agent wanted."""
    if action.fault:
        return 0.0, action.fault
    verb = "punish for" if action.punishes else "give"
    wanted = action.amount
    if isinstance(wanted, bool) or not isinstance(wanted, int | float):
        return 0.0, f"wanted to {verb} {reprlib.repr(wanted)}, which is no number"
    if not 0 <= wanted <= wealth:  # false for what is not finite, too
        return 0.0, f"wanted to {verb} {_shown(wanted)} of {wealth:g}"
    if action.punishes and not game.punishment:
        return 0.0, f"wanted to punish for {wanted:g}, which these rules do not allow"
    return float(wanted), ""


def _shown(number: float) -> str:
    try:
        return f"{number:g}"
    except OverflowError:  # a whole number that no float can be
        return "more than can be written"


def _successor(game: DonorGame, number: int, before: _Generation, learn: Learn) -> _Generation:
    """The richest agents, and as many that learn from them as the others were.

    Lots decide between agents of equal wealth.
    """
    lots = _random(game, "generation", number).sample(range(game.n_agents), game.n_agents)
    ranked = sorted(range(game.n_agents), key=lambda agent: (-before.wealth[agent], lots[agent]))
    chosen = ranked[: game.n_survivors]
    agents = [before.agents[agent] for agent in chosen]
    parents: list[tuple[int, ...]] = [(agent,) for agent in chosen]
    for place in range(game.n_agents - game.n_survivors):
        random = _random(game, "learner", number, place)
        teachers = chosen
        if game.inheritance == "lineage":
            weights = [before.wealth[agent] for agent in chosen]
            teachers = random.choices(chosen, weights if sum(weights) > 0 else None)
        parents.append(tuple(teachers))
        agents.append(learn([before.agents[agent] for agent in teachers], random))
    return _Generation(game, number, agents, parents, game.n_survivors)


def _random(game: DonorGame, *what: object) -> Random:
    """A source of chance for one purpose, which does not depend on what was drawn before."""
    return Random(int(sha256_of(game.seed, *map(str, what))[:16], 16))  # noqa: S311 - a game
