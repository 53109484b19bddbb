"""The rules of the Donor Game: agents give to one another, and the richest pass strategies on.

In each round every agent is once a donor and once a recipient; gifts of a round are simultaneous.
What is given is multiplied. A donor sees what its recipient did last, to whom, what that one had
done, and so on. After the rounds of a generation the richest survive with their strategies; the
places of the others are taken by agents that learn from the survivors (Vallinder & Hughes 2024).
Playing is `genept.language_models.games.donor_game`, agents are in `scripted_agents` beside it.

What an agent wants to give is never believed: it is a finite number between 0 and what the agent
has, or the move counts as a fault and nothing is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field


class DonorGame(BaseModel):
    """The rules of a game.

    Parameters
    ----------
    n_agents, n_generations, n_rounds
        How many; rounds are those of a generation.
    endowment
        What each agent has when its generation begins.
    multiplier
        What a recipient gets for each unit that is given.
    trace_length
        How many steps back a donor sees.
    surviving_share
        Share of the agents whose strategies are passed on.
    seed
        Of who meets whom, and of all else that is drawn.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_agents: int = Field(12, ge=2)
    n_generations: int = Field(10, ge=1)
    n_rounds: int = Field(12, ge=1)
    endowment: float = Field(10.0, gt=0, allow_inf_nan=False)
    multiplier: float = Field(2.0, gt=0, allow_inf_nan=False)
    trace_length: int = Field(3, ge=0)
    surviving_share: float = Field(0.5, gt=0, lt=1)
    seed: int = Field(0, ge=0)

    @property
    def n_survivors(self) -> int:
        """Agents whose strategies are passed on: at least one, and not all."""
        return min(max(1, round(self.n_agents * self.surviving_share)), self.n_agents - 1)


@dataclass(frozen=True)
class Move:
    """What one agent gave to another.

    Parameters
    ----------
    generation, round
        Counted from 0.
    donor, recipient
        Numbers of the agents in their generation.
    wealth
        Of the donor before.
    given
        Of that.
    fault
        What was wrong with what the agent wanted to give; empty if nothing was.
    """

    generation: int
    round: int
    donor: int
    recipient: int
    wealth: float
    given: float
    fault: str = ""

    @property
    def share(self) -> float:
        """Share of its wealth that the donor gave."""
        return self.given / self.wealth if self.wealth > 0 else 0.0


@dataclass(frozen=True)
class Situation:
    """What a donor knows. That the game ends, and when, is not part of it.

    Parameters
    ----------
    generation, round
        Counted from 0.
    wealth
        Of the donor.
    recipient_wealth
        Of the recipient.
    trace
        What the recipient gave last, what the one to whom it gave had given before that, and so on.
    random
        For what the agent draws: the same whenever this move is played again.
    """

    generation: int
    round: int
    wealth: float
    recipient_wealth: float
    trace: tuple[Move, ...]
    random: Random = field(compare=False)


class Agent(Protocol):
    """Who plays."""

    @property
    def strategy(self) -> str:
        """Its strategy, in a name or in words."""

    def give(self, situation: Situation) -> float:
        """How much to give; checked by the game."""


Learn = Callable[[Sequence[Agent], Random], Agent]
"""Makes an agent that learns from the survivors of the generation before."""


@dataclass(frozen=True)
class GenerationScore:
    """How a generation ended.

    Parameters
    ----------
    strategies
        Of its agents, by their number.
    wealth
        Of its agents at the end.
    mean_share
        Mean share of wealth that was given in a move.
    n_faults
        Moves in which an agent wanted to give what it cannot.
    """

    strategies: tuple[str, ...]
    wealth: tuple[float, ...]
    mean_share: float
    n_faults: int

    @property
    def mean_wealth(self) -> float:
        """Mean of the agents' wealth."""
        return math.fsum(self.wealth) / len(self.wealth)


@dataclass(frozen=True)
class GameResult:
    """A game that was played to its end.

    Parameters
    ----------
    moves
        All of them, in order.
    scores
        By generation.
    """

    moves: tuple[Move, ...]
    scores: tuple[GenerationScore, ...]
