"""Agents of the Donor Game that ask a language model: for their strategy, and for every gift.

What is given is asked for as a percentage in a JSON schema, so that no answer in form is more than
the donor has. An answer without form counts as a fault of the move. Answers are kept, as of every
chat: a game that is played again, or goes on, asks for nothing that was asked before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from genept.language_models.chats import SEEDS, Chat, ChatError, ChatOutcome, SamplingOptions
from genept.language_models.games.donor_rules import Agent, DonorGame, Learn, Situation
from genept.language_models.prompts import load_prompts

Ask = Callable[[Chat], ChatOutcome]
"""Completes a chat through the cache."""


@dataclass(frozen=True)
class LanguageAgent:
    """An agent that asks a language model what to give.

    Parameters
    ----------
    strategy
        In its own words.
    game
        The rules.
    ask
        Completes a chat.
    sampling
        How answers are drawn; their seeds are those of the game.
    """

    strategy: str
    game: DonorGame = field(repr=False)
    ask: Ask = field(repr=False)
    sampling: SamplingOptions = field(repr=False)

    def give(self, situation: Situation) -> float:
        """How much to give; no number if the model gave no answer in form."""
        values = {
            "strategy": self.strategy,
            "wealth": situation.wealth,
            "recipient_wealth": situation.recipient_wealth,
            "multiplier": self.game.multiplier,
            "trace": situation.trace,
        }
        sampling = _drawn(self.sampling, situation.random)
        outcome = self.ask(load_prompts()["donor-move"].chat(values, sampling))
        if outcome.text is None:
            return math.nan
        return situation.wealth * int(outcome.parsed["percent"]) / 100


def language_agents(
    game: DonorGame, ask: Ask, sampling: SamplingOptions | None = None
) -> tuple[list[LanguageAgent], Learn]:
    """Make the agents of a game that ask a language model.

    Parameters
    ----------
    game
        The rules.
    ask
        Completes a chat.
    sampling
        How answers are drawn; None: at temperature 0.8.

    Returns
    -------
    founders, learn
        For `genept.language_models.games.play`.

    Raises
    ------
    ChatError
        The model gives no strategy.
    """
    sampling = sampling or SamplingOptions(temperature=0.8, max_output_tokens=200)

    def learn(survivors: Sequence[Agent], random: Random) -> LanguageAgent:
        values = {
            "survivors": [survivor.strategy for survivor in survivors],
            "endowment": game.endowment,
            "multiplier": game.multiplier,
        }
        chat = load_prompts()["donor-strategy"].chat(values, _drawn(sampling, random))
        outcome = ask(chat)
        if outcome.text is None:
            raise ChatError(f"an agent has no strategy: {outcome.reason}")
        return LanguageAgent(" ".join(outcome.text.split()), game, ask, sampling)

    lots = [Random(f"{game.seed} founder {number}") for number in range(game.n_agents)]  # noqa: S311
    return [learn((), lot) for lot in lots], learn


def _drawn(sampling: SamplingOptions, random: Random) -> SamplingOptions:
    return sampling.model_copy(update={"seed": random.randrange(SEEDS)})
