"""Agents of the Donor Game that ask a language model: for their strategy, and for every gift.

What is given is asked for as a percentage in a JSON schema, so that no answer in form is more than
the donor has. An answer without form counts as a fault of the move. Answers are kept, as of every
chat: a game that is played again, or goes on, asks for nothing that was asked before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Final

from genept.language_models.chats import SEEDS, Chat, ChatError, ChatOutcome, SamplingOptions
from genept.language_models.games.donor_rules import Action, Agent, DonorGame, Learn, Situation
from genept.language_models.games.scripted_agents import IN_WORDS
from genept.language_models.prompts import Prompt, load_prompts

Ask = Callable[[Chat], ChatOutcome]
"""Completes a chat through the cache."""

SAMPLING: Final = SamplingOptions(temperature=0.8, max_output_tokens=200)
"""How answers are drawn unless something else is wanted."""

STRATEGY: Final = "donor-strategy"
MOVE: Final = "donor-move"
PUNISHING_MOVE: Final = "donor-punish"


@cache
def prompt_of(id_: str) -> Prompt:
    """Load one of the prompts of the game.

    Parameters
    ----------
    id_
        Its id.

    Returns
    -------
    Prompt
        Read once.
    """
    return load_prompts()[id_]


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
    player
        Id of the model.
    """

    strategy: str
    game: DonorGame = field(repr=False)
    ask: Ask = field(repr=False, compare=False)
    sampling: SamplingOptions = field(repr=False)
    player: str = ""

    def give(self, situation: Situation) -> Action:
        """How much to give, or to pay to punish; a fault if the model gave no answer in form."""
        values = {
            "strategy": self.strategy,
            "wealth": situation.wealth,
            "recipient_wealth": situation.recipient_wealth,
            "multiplier": self.game.multiplier,
            "punishment": situation.punishment,
            "trace": situation.trace,
        }
        prompt = prompt_of(PUNISHING_MOVE if situation.punishment else MOVE)
        outcome = self.ask(prompt.chat(values, _drawn(self.sampling, situation.random)))
        if outcome.text is None:
            return Action(fault=f"no answer: {outcome.reason}", n_rejected=len(outcome.faults))
        answer = outcome.parsed
        return Action(
            situation.wealth * (int(answer["percent"]) / 100),  # of all: all, exactly
            punishes=answer.get("kind") == "punish",
            n_rejected=len(outcome.faults),
        )


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
    learn = learner(game, ask, sampling or SAMPLING)
    return [learn((), founding(game, number)) for number in range(game.n_agents)], learn


def learner(
    game: DonorGame, ask: Ask, sampling: SamplingOptions, player: str = ""
) -> Callable[[Sequence[Agent], Random], LanguageAgent]:
    """Make a way to learn by asking a model for a strategy, after those of the parents.

    Parameters
    ----------
    game, ask, sampling, player
        As in `LanguageAgent`.

    Returns
    -------
    callable
        See `genept.language_models.games.donor_rules.Learn`; raises `ChatError` if the model gives
        no strategy.
    """

    def learn(parents: Sequence[Agent], random: Random) -> LanguageAgent:
        values = {
            "survivors": [IN_WORDS.get(it.strategy, it.strategy) for it in parents],
            "endowment": game.endowment,
            "multiplier": game.multiplier,
            "punishment": game.punishment,
        }
        outcome = ask(prompt_of(STRATEGY).chat(values, _drawn(sampling, random)))
        if outcome.text is None:
            raise ChatError(f"an agent has no strategy: {outcome.reason}")
        return LanguageAgent(" ".join(outcome.text.split()), game, ask, sampling, player)

    return learn


def founding(game: DonorGame, number: int) -> Random:
    """Return the source of chance of a founder.

    Parameters
    ----------
    game
        Its rules.
    number
        Of the agent.

    Returns
    -------
    Random
        The same whenever the game is played.
    """
    return Random(f"{game.seed} founder {number}")  # noqa: S311 - a game


def _drawn(sampling: SamplingOptions, random: Random) -> SamplingOptions:
    return sampling.model_copy(update={"seed": random.randrange(SEEDS)})
