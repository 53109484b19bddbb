"""The rules of the Donor Game: agents give to one another, and the richest pass strategies on.

In each round every agent is once a donor and once a recipient; what happens in a round is
simultaneous. What is given is multiplied. A donor sees what its recipient did last, to whom, what
that one had done, and so on. After the rounds of a generation the richest survive with their
strategies; the places of the others are taken by agents that learn from the survivors (Vallinder &
Hughes 2024). Playing is `genept.language_models.games.donor_game`, agents are in `scripted_agents`
and `language_agents` beside it.

What an agent wants to give is never believed: it is a finite number between 0 and what the agent
has, or the move counts as a fault and nothing is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal, Protocol

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
    noise
        How often a donation is replaced by a random one.
    punishment
        What a recipient loses for each unit that its donor pays to punish it; 0: nobody can.
    inheritance
        From whom a new agent learns: ``prompt``, from all survivors; ``lineage``, from one of them,
        which has the more children the more it has.
    seed
        Of who meets whom, and of all else that is drawn.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_agents: int = Field(12, ge=2, description="Agents of a generation.")
    n_generations: int = Field(10, ge=1, description="Generations.")
    n_rounds: int = Field(12, ge=1, description="Rounds of a generation.")
    endowment: float = Field(
        10.0, gt=0, le=1e9, description="What each agent has when its generation begins."
    )
    multiplier: float = Field(
        2.0, gt=0, le=1e3, description="What a recipient gets for each unit that is given."
    )
    trace_length: int = Field(3, ge=0, description="How many steps back a donor sees.")
    surviving_share: float = Field(
        0.5, gt=0, lt=1, description="Share of the agents whose strategies are passed on."
    )
    noise: float = Field(
        0.0, ge=0, le=1, description="How often a donation is replaced by a random one."
    )
    punishment: float = Field(
        0.0,
        ge=0,
        le=1e3,
        description="What a recipient loses for each unit paid to punish it; 0: nobody can.",
    )
    inheritance: Literal["prompt", "lineage"] = Field(
        "prompt",
        description="From whom new agents learn: prompt (all survivors) or lineage (one of them, "
        "the richer the likelier).",
    )
    seed: int = Field(0, ge=0, description="Of all that is drawn.")

    @property
    def n_survivors(self) -> int:
        """Agents whose strategies are passed on: at least one, and not all."""
        return min(max(1, round(self.n_agents * self.surviving_share)), self.n_agents - 1)

    @property
    def n_moves(self) -> int:
        """Moves of the whole game."""
        return self.n_agents * self.n_generations * self.n_rounds


@dataclass(frozen=True)
class Move:
    """What one agent gave to another, or paid to punish it.

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
    punished
        What the donor paid to punish the recipient.
    is_noise
        Whether the donation was drawn at random in place of the agent's.
    n_rejected
        Answers of a language model that broke their form before the one that counts.
    """

    generation: int
    round: int
    donor: int
    recipient: int
    wealth: float
    given: float
    fault: str = ""
    punished: float = 0.0
    is_noise: bool = False
    n_rejected: int = 0

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
    punishment
        What the recipient loses for each unit that is paid to punish it; 0: it cannot be punished.
    """

    generation: int
    round: int
    wealth: float
    recipient_wealth: float
    trace: tuple[Move, ...]
    random: Random = field(compare=False)
    punishment: float = 0.0


@dataclass(frozen=True)
class Action:
    """What an agent wants to do, where that is more than a number to give.

    Parameters
    ----------
    amount
        What it gives; checked by the game.
    punishes
        Whether the amount is paid to punish the recipient, in place of a gift.
    fault
        Why the agent has no amount; empty if it has one.
    n_rejected
        As in `Move`.
    """

    amount: float = 0.0
    punishes: bool = False
    fault: str = ""
    n_rejected: int = 0


class Agent(Protocol):
    """Who plays."""

    @property
    def strategy(self) -> str:
        """Its strategy, in a name or in words."""

    def give(self, situation: Situation) -> float | Action:
        """How much to give, or what to do instead; checked by the game."""


Learn = Callable[[Sequence[Agent], Random], Agent]
"""Makes an agent that learns from its parents, survivors of the generation before."""


class PausedGameError(Exception):
    """Raised by an agent, or while one learns, to pause the game before what would come next."""


@dataclass(frozen=True)
class GenerationScore:
    """How a generation ended, or how it stands in a game that was paused.

    Parameters
    ----------
    agents
        By their number.
    wealth
        Of its agents after the last whole round.
    mean_share
        Mean share of wealth that was given in a move.
    n_faults
        Moves in which an agent wanted to give what it cannot.
    parents
        By agent: whom it learned from, by their numbers in the generation before; of a survivor
        its own number there.
    n_survivors
        Agents that survived from the generation before: the first ones.
    n_moves
        Moves that were made.
    is_complete
        Whether every round was played.
    """

    agents: tuple[Agent, ...]
    wealth: tuple[float, ...]
    mean_share: float
    n_faults: int
    parents: tuple[tuple[int, ...], ...] = ()
    n_survivors: int = 0
    n_moves: int = 0
    is_complete: bool = True

    @property
    def strategies(self) -> tuple[str, ...]:
        """Strategies of its agents, by their number."""
        return tuple(agent.strategy for agent in self.agents)

    @property
    def mean_wealth(self) -> float:
        """Mean of the agents' wealth."""
        return math.fsum(self.wealth) / len(self.wealth)


@dataclass(frozen=True)
class GameResult:
    """A game that was played to its end, or paused.

    Parameters
    ----------
    moves
        All of them, in order.
    scores
        By generation.
    is_complete
        Whether the game was played to its end.
    """

    moves: tuple[Move, ...]
    scores: tuple[GenerationScore, ...]
    is_complete: bool = True
