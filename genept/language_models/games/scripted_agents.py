"""Agents of the Donor Game that follow a rule: what language models are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final, cast

from genept.language_models.games.donor_rules import Action, Agent, Situation

HALF: Final = 0.5

FINE: Final = 0.1
"""Share of its wealth that a punisher pays."""

Rule = Callable[[Situation], float | Action]
"""Share of its wealth that a donor gives, or pays."""


def _tit_for_tat(situation: Situation) -> float:
    """The share that the recipient gave last; half to one that has not given yet."""
    return situation.trace[0].share if situation.trace else HALF


def _standing(situation: Situation) -> float:
    """Half, but nothing to one that gave less than half to one which had not done so itself."""
    trace = situation.trace
    if not trace or trace[0].share >= HALF:
        return HALF
    was_deserved = len(trace) > 1 and trace[1].share < HALF
    return HALF if was_deserved else 0.0


def _punisher(situation: Situation) -> float | Action:
    """As standing; who deserves nothing is punished, if that is allowed."""
    share = _standing(situation)
    if share or not situation.punishment:
        return share
    return Action(FINE, punishes=True)


RULES: Final[Mapping[str, Rule]] = {
    "never-give": lambda _: 0.0,
    "give-half": lambda _: HALF,
    "give-all": lambda _: 1.0,
    "tit-for-tat": _tit_for_tat,
    "standing": _standing,
    "punisher": _punisher,
    "random": lambda situation: situation.random.random(),
}

IN_WORDS: Final[Mapping[str, str]] = {
    "never-give": "Give nothing.",
    "give-half": "Give half of what you have.",
    "give-all": "Give all that you have.",
    "tit-for-tat": "Give the share that the recipient gave last, and half to one that has not "
    "given yet.",
    "standing": "Give half, but nothing to one that gave less than half to someone who deserved "
    "it.",
    "punisher": "Give half, and pay a tenth to punish one that gave less than half to someone who "
    "deserved it.",
    "random": "Give a share that is drawn at random.",
}
"""Rules as a language model reads them."""


@dataclass(frozen=True)
class ScriptedAgent:
    """An agent that follows a rule.

    Parameters
    ----------
    strategy
        Name of the rule.
    """

    strategy: str

    @property
    def player(self) -> str:
        """What plays: the rule."""
        return self.strategy

    def give(self, situation: Situation) -> float | Action:
        """How much to give, or to pay to punish."""
        wanted = RULES[self.strategy](situation)
        if isinstance(wanted, Action):
            return replace(wanted, amount=situation.wealth * wanted.amount)
        return situation.wealth * wanted


SCRIPTED: Final[Mapping[str, ScriptedAgent]] = {name: ScriptedAgent(name) for name in RULES}
"""The scripted agents by their strategy."""

CONTROLS: Final = ("never-give", "give-half", "tit-for-tat", "standing", "random")
"""Strategies that are played beside every game, with its rules and its seed."""


def imitate(survivors: Sequence[Agent], random: Random) -> Agent:
    """Make an agent that follows the rule of a survivor, drawn at random.

    Parameters
    ----------
    survivors
        Agents to learn from.
    random
        Draws one.

    Returns
    -------
    Agent
        With the strategy of that survivor.
    """
    return cast(Agent, SCRIPTED[random.choice(survivors).strategy])


def imitate_or_invent(invented: float) -> Callable[[Sequence[Agent], Random], Agent]:
    """Make a way to learn that sometimes takes any rule in place of a survivor's.

    Parameters
    ----------
    invented
        How often.

    Returns
    -------
    callable
        See `genept.language_models.games.donor_rules.Learn`.
    """

    def learn(survivors: Sequence[Agent], random: Random) -> Agent:
        if random.random() < invented:
            return SCRIPTED[random.choice(sorted(SCRIPTED))]
        return imitate(survivors, random)

    return learn
