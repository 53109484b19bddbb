"""Declarations of games: the rules, who plays, and what each game is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from genept.language_models.chats import RefusedChatError, SamplingOptions
from genept.language_models.games.donor_rules import DonorGame
from genept.language_models.games.language_agents import (
    MOVE,
    PUNISHING_MOVE,
    SAMPLING,
    STRATEGY,
    prompt_of,
)
from genept.language_models.games.scripted_agents import CONTROLS, SCRIPTED
from genept.language_models.model_registry import LanguageModels
from genept.storage import sha256_of


class DeclaredGame(BaseModel):
    """A game: its rules, and who plays.

    Parameters
    ----------
    rules
        The rules.
    players
        Scripted strategies and ids of language models; the agents of the first generation are
        these in turn.
    models
        What each model is, by id: another one under the same id plays another game.
    prompts
        SHA-256 of the prompts, by id; none if nobody is asked.
    sampling
        How answers are drawn.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: DonorGame
    players: tuple[str, ...] = Field(min_length=1)
    models: Mapping[str, str] = Field(default_factory=dict)
    prompts: Mapping[str, str] = Field(default_factory=dict)
    sampling: SamplingOptions = SAMPLING

    @property
    def id(self) -> str:
        """Its players, and a hash of all that it is."""
        name = "+".join(self.players)
        if len(name) > 60:
            name = f"{len(self.players)}-players"
        return f"{name}-{sha256_of(self.model_dump(mode='json'))[:10]}"

    @property
    def is_scripted(self) -> bool:
        """Whether no language model plays."""
        return not self.models

    @property
    def is_control(self) -> bool:
        """Whether it is what other games of the same rules are compared with."""
        return self in controls_of(self.rules)

    @classmethod
    def of(cls, rules: DonorGame, players: Sequence[str], models: LanguageModels) -> DeclaredGame:
        """Declare a game.

        Raises
        ------
        RefusedChatError
            A player is neither a scripted strategy nor a language model, or there are more players
            than agents.
        """
        if not 1 <= len(players) <= rules.n_agents:
            raise RefusedChatError(f"{len(players)} players for {rules.n_agents} agents")
        played = {}
        for player in players:
            if player in SCRIPTED:
                continue
            if player not in models.declared:
                raise RefusedChatError(
                    f"{player!r} is no strategy ({', '.join(SCRIPTED)}) and no language model "
                    f"({', '.join(models.declared)})"
                )
            declared = models.declared[player]
            place = declared.weights.sha256 if declared.weights else declared.base_url or ""
            played[player] = f"{declared.model} {place[:16]}".strip()
        used = (STRATEGY, PUNISHING_MOVE if rules.punishment else MOVE) if played else ()
        return cls(
            rules=rules,
            players=tuple(players),
            models=played,
            prompts={id_: prompt_of(id_).sha256 for id_ in used},
        )


def controls_of(rules: DonorGame) -> list[DeclaredGame]:
    """Declare the games of scripted agents that a game is compared with.

    Parameters
    ----------
    rules
        Of that game, seed included.

    Returns
    -------
    list of DeclaredGame
        One for each control strategy, which all agents follow.
    """
    return [DeclaredGame(rules=rules, players=(name,)) for name in CONTROLS]
