"""Agents of the Donor Game that follow a rule: what language models are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, cast

from genept.language_models.games.donor_rules import Agent, Situation

HALF: Final = 0.5

Rule = Callable[[Situation], float]
"""Share of its wealth that a donor gives."""


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


RULES: Final[Mapping[str, Rule]] = {
    "never-give": lambda _: 0.0,
    "give-half": lambda _: HALF,
    "tit-for-tat": _tit_for_tat,
    "standing": _standing,
    "random": lambda situation: situation.random.random(),
}


@dataclass(frozen=True)
class ScriptedAgent:
    """An agent that follows a rule.

    Parameters
    ----------
    strategy
        Name of the rule.
    """

    strategy: str

    def give(self, situation: Situation) -> float:
        """How much to give."""
        return situation.wealth * RULES[self.strategy](situation)


SCRIPTED: Final[Mapping[str, ScriptedAgent]] = {name: ScriptedAgent(name) for name in RULES}
"""The scripted agents by their strategy."""


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
