"""Playing the Donor Game: who meets whom, what is given, who survives, and going on by the move."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from random import Random

from genept.language_models.games.donor_rules import (
    Agent,
    DonorGame,
    GameResult,
    GenerationScore,
    Learn,
    Move,
    Situation,
)
from genept.storage import sha256_of


class GameError(ValueError):
    """Moves that were recorded cannot be those of this game."""


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
        Equal whether the game was interrupted or not.

    Raises
    ------
    GameError
        There are not as many founders as agents, or the recorded moves are of another game.
    """
    if len(founders) != game.n_agents:
        raise GameError(f"expected {game.n_agents} founders, got {len(founders)}")
    agents, replayed = list(founders), iter(recorded)
    moves: list[Move] = []
    scores: list[GenerationScore] = []
    for generation in range(game.n_generations):
        if generation:
            agents = _next_generation(game, generation, agents, scores[-1].wealth, learn)
        played, wealth = _generation(game, generation, agents, replayed, record)
        moves += played
        scores.append(
            GenerationScore(
                tuple(agent.strategy for agent in agents),
                tuple(wealth),
                math.fsum(move.share for move in played) / len(played),
                sum(bool(move.fault) for move in played),
            )
        )
    if (excess := next(replayed, None)) is not None:
        raise GameError(f"the recorded game goes on after the last move, with {excess}")
    return GameResult(tuple(moves), tuple(scores))


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


def _generation(
    game: DonorGame,
    generation: int,
    agents: Sequence[Agent],
    replayed: Iterator[Move],
    record: Callable[[Move], None],
) -> tuple[list[Move], list[float]]:
    """Moves of a generation, and the wealth of its agents after them."""
    wealth = [game.endowment] * game.n_agents
    moves: list[Move] = []
    for round_ in range(game.n_rounds):
        before, gains = list(moves), [0.0] * game.n_agents
        for donor, recipient in pairs_of(game, generation, round_):
            move = next(replayed, None)
            if move is None:
                situation = Situation(
                    generation,
                    round_,
                    wealth[donor],
                    wealth[recipient],
                    trace_of(before, recipient, game.trace_length),
                    _random(game, "move", generation, round_, donor),
                )
                given, fault = _checked(agents[donor].give(situation), wealth[donor])
                move = Move(generation, round_, donor, recipient, wealth[donor], given, fault)
                record(move)
            else:
                expected = (generation, round_, donor, recipient, wealth[donor])
                if expected != (
                    move.generation, move.round, move.donor, move.recipient, move.wealth
                ):  # fmt: skip
                    raise GameError(f"the recorded {move} cannot come here: expected {expected}")
            moves.append(move)
            gains[donor] -= move.given
            gains[recipient] += move.given * game.multiplier
        wealth = [has + gain for has, gain in zip(wealth, gains, strict=True)]
    return moves, wealth


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


def _checked(wanted: float, wealth: float) -> tuple[float, str]:
    """What is given, and what was wrong with what the agent wanted to give."""
    if isinstance(wanted, bool) or not isinstance(wanted, int | float):
        return 0.0, f"wanted to give {wanted!r}, which is no number"
    if not 0 <= wanted <= wealth:  # false for what is not finite, too
        return 0.0, f"wanted to give {wanted:g} of {wealth:g}"
    return float(wanted), ""


def _next_generation(
    game: DonorGame,
    generation: int,
    agents: Sequence[Agent],
    wealth: Sequence[float],
    learn: Learn,
) -> list[Agent]:
    """The richest agents, and as many that learn from them as the others were.

    Lots decide between agents of equal wealth.
    """
    random = _random(game, "generation", generation)
    lots = random.sample(range(game.n_agents), game.n_agents)
    ranked = sorted(range(game.n_agents), key=lambda number: (-wealth[number], lots[number]))
    survivors = [agents[number] for number in ranked[: game.n_survivors]]
    learners = [
        learn(survivors, _random(game, "learner", generation, number))
        for number in range(game.n_agents - game.n_survivors)
    ]
    return survivors + learners


def _random(game: DonorGame, *what: object) -> Random:
    """A source of chance for one purpose, which does not depend on what was drawn before."""
    return Random(int(sha256_of(game.seed, *map(str, what))[:16], 16))  # noqa: S311 - a game
