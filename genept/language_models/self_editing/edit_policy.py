"""Which edits are proposed next: learnt from what was kept, or asked of a language model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final, NamedTuple, Protocol

from genept.language_models.self_editing.edits import Edit

SHARED: Final = 0.5
"""How much what is known of an edit counts for other kinds of genes."""

SHOWN: Final = 20
"""Edits that a language model chooses among."""


class Proposal(NamedTuple):
    """What came of an edit.

    Parameters
    ----------
    edit
        The edit.
    reward
        Change of the mean score.
    kept
        Whether it was kept.
    """

    edit: Edit
    reward: float
    kept: bool


class EditPolicy(Protocol):
    """Proposes edits, and learns from what came of them."""

    def propose(self, possible: Sequence[Edit], n: int, round_: int) -> list[Edit]:
        """Different edits, at most `n`."""

    def learn(self, proposals: Sequence[Proposal]) -> None:
        """Take in what came of the edits of a round."""


@dataclass
class LearnedPolicy:
    """Draws edits by how often they were kept (Thompson sampling), for each kind of genes.

    As in ReST-EM, only whether an edit was kept is learnt from.

    Parameters
    ----------
    seed
        Of the draws.
    kept, refused
        How often each edit was.
    """

    seed: int = 0
    kept: Counter[Edit] = field(default_factory=Counter)
    refused: Counter[Edit] = field(default_factory=Counter)

    def probability(self, edit: Edit) -> tuple[float, float]:
        """Parameters of the beta distribution of the probability that an edit is kept."""
        alike = [each for each in {*self.kept, *self.refused} if each.kind == edit.kind]
        others = [each for each in alike if each != edit]
        successes = self.kept[edit] + SHARED * sum(self.kept[each] for each in others)
        failures = self.refused[edit] + SHARED * sum(self.refused[each] for each in others)
        return 1 + successes, 1 + failures

    def propose(self, possible: Sequence[Edit], n: int, round_: int) -> list[Edit]:
        """The edits with the highest drawn probabilities."""
        random = Random(f"{self.seed}:{round_}")  # noqa: S311 - proposals, not secrets
        drawn = {edit: random.betavariate(*self.probability(edit)) for edit in possible}
        return sorted(possible, key=lambda edit: -drawn[edit])[:n]

    def learn(self, proposals: Sequence[Proposal]) -> None:
        """Count what was kept and what was not."""
        for proposal in proposals:
            (self.kept if proposal.kept else self.refused)[proposal.edit] += 1


@dataclass
class ModelPolicy:
    """Asks a language model which edits to try; what it leaves open is drawn by a learned policy.

    Parameters
    ----------
    ask
        Asks the model: a question to its answer, or None if there is none.
    learned
        Chooses the edits that the model chooses among, and fills up.
    history
        What came of earlier edits, the last ones last.
    """

    ask: Callable[[str], str | None]
    learned: LearnedPolicy
    history: list[Proposal] = field(default_factory=list)

    def propose(self, possible: Sequence[Edit], n: int, round_: int) -> list[Edit]:
        """The edits whose numbers the model names, each once."""
        shown = self.learned.propose(possible, SHOWN, round_)
        before = "\n".join(
            f"- {each.edit.kind} for {each.edit.gene_class}: {each.reward:+.4f}"
            for each in self.history[-SHOWN:]
        )
        listed = "\n".join(
            f"{number}. {edit.kind} for {edit.gene_class}" for number, edit in enumerate(shown, 1)
        )
        question = (
            f"Edits of descriptions of genes, and how they changed the score:\n{before or '- none'}"
            f"\n\nEdits to choose from:\n{listed}\n\nName the numbers of the {n} most promising."
        )
        numbers = [int(number) for number in re.findall(r"\d+", self.ask(question) or "")]
        named = [shown[k - 1] for k in dict.fromkeys(numbers) if 1 <= k <= len(shown)]
        rest = [edit for edit in shown if edit not in named]
        return [*named, *rest][:n]

    def learn(self, proposals: Sequence[Proposal]) -> None:
        """Remember what came of the edits."""
        self.history += proposals
        self.learned.learn(proposals)
