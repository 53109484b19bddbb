"""The loop: propose edits, embed what they change, score it, keep what beats shuffled edits.

How vectors are scored is given from outside (`Scorer`); hidden genes and tasks are asked once, by
`genept.language_models.self_editing.edit_gate`, after the last round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import NamedTuple

import numpy as np

from genept.language_models.self_editing.drafts import (
    Draft,
    Drafts,
    Library,
    changed,
    shuffled_draft,
)
from genept.language_models.self_editing.edit_policy import EditPolicy, Proposal
from genept.language_models.self_editing.edit_results import (
    Edited,
    EditOptions,
    Embed,
    Matrix,
    Scorer,
    TaskScore,
    Tried,
    Vectors,
)
from genept.language_models.self_editing.edits import Edit, every_edit


def edit_descriptions(
    library: Library,
    scorer: Scorer,
    embed: Embed,
    policy: EditPolicy,
    options: EditOptions,
    advance: Callable[[str, float], None] | None = None,
) -> Edited:
    """Edit descriptions in rounds, and keep what raises the scores of training genes.

    Parameters
    ----------
    library
        The evidence of every gene of the tasks.
    scorer
        Scores vectors.
    embed
        Embeds texts; what it embedded before should cost nothing.
    policy
        Proposes edits.
    options
        How long, and how boldly.
    advance
        Called with what is done, and the share that is finished.

    Returns
    -------
    Edited
        The same for the same input, also after a kill.
    """
    loop = _Loop(library, scorer, embed, options)
    advance = advance or (lambda *_: None)
    steps = options.rounds * (options.proposals + options.shuffled)
    for number in range(1, options.rounds + 1):
        possible = [
            edit
            for edit in every_edit(library)
            if edit not in loop.result.plan and loop.n_changed(edit) >= options.fewest_genes
        ]
        proposals = policy.propose(possible, options.proposals, number)
        done = (number - 1) * (options.proposals + options.shuffled) / steps
        advance(f"round {number}: {len(proposals)} of {len(possible)} edits", done)
        policy.learn(loop.play_round(number, proposals, advance, steps))
    return loop.result


class _Loop:
    def __init__(
        self, library: Library, scorer: Scorer, embed: Embed, options: EditOptions
    ) -> None:
        self.library, self.scorer, self.embed, self.options = library, scorer, embed, options
        genes = sorted(scorer.genes & set(library.evidence))
        self.training = sorted(scorer.training_genes & set(genes))
        self.result = Edited(drafts={id_: library.first_drafts[id_] for id_ in genes})
        self.result.before = self._embedded(self.result.drafts, genes)
        self.result.after = dict(self.result.before)
        self._record(0)

    def n_changed(self, edit: Edit) -> int:
        """Training genes whose draft an edit changes."""
        before = {id_: self.result.drafts[id_] for id_ in self.training}
        return len(changed(before, edit.apply(self.library, before)))

    def play_round(
        self,
        number: int,
        proposals: Sequence[Edit],
        advance: Callable[[str, float], None],
        steps: int,
    ) -> list[Proposal]:
        """Try edits and shuffled ones, keep the best on top of each other."""
        drafts = {id_: self.result.drafts[id_] for id_ in self.training}
        base = self._reward(self.result.after)
        null = self._reward(self.result.after, permuted=True)
        random = Random(f"{self.options.seed}:{number}")  # noqa: S311 - no secret
        noise = [
            self._reward(self._with(drafts, self._shuffled(drafts, proposals, random))) - base
            for _ in range(self.options.shuffled if proposals else 0)
        ]
        rewards: dict[Edit, tuple[float, float]] = {}
        for done, edit in enumerate(proposals):
            vectors = self._with(drafts, edit.apply(self.library, drafts))
            reward = self._reward(vectors) - base
            rewards[edit] = (reward, self._reward(vectors, permuted=True) - null)
            share = (number - 1) / self.options.rounds + (self.options.shuffled + done) / steps
            advance(f"round {number}: {edit.kind} for {edit.gene_class} {reward:+.4f}", share)
        by_chance = float(np.mean([abs(permuted) for _, permuted in rewards.values()] or [0.0]))
        bar = max(0.0, by_chance, *noise)
        why = self._keep(drafts, base, rewards, bar)
        before = {edit: self._example(drafts, edit) for edit in proposals}
        for edit in proposals:
            reward, permuted = rewards[edit]
            self.result.tried.append(
                Tried(number, edit, *before[edit], reward, bar, permuted, edit in why.kept,
                      why.reasons[edit])
            )  # fmt: skip
        self._apply(why.kept)
        self._record(number)
        return [Proposal(edit, rewards[edit][0], edit in why.kept) for edit in proposals]

    def _keep(
        self,
        drafts: Drafts,
        base: float,
        rewards: Mapping[Edit, tuple[float, float]],
        bar: float,
    ) -> _Chosen:
        """Edits above the noise, the best first, each if it adds to those before it."""
        chosen = _Chosen([], {})
        together, reached = dict(drafts), base
        for edit in sorted(rewards, key=lambda each: -rewards[each][0]):
            if rewards[edit][0] <= bar:
                chosen.reasons[edit] = "not above the noise"
                continue
            tried = edit.apply(self.library, together)
            score = (
                self._reward(self._with(drafts, tried)) if chosen.kept else base + rewards[edit][0]
            )
            if score <= reached:
                chosen.reasons[edit] = "adds nothing to the edits kept before it"
                continue
            chosen.kept.append(edit)
            chosen.reasons[edit] = "above the noise, and on top of the others"
            together, reached = tried, score
        return chosen

    def _apply(self, kept: Sequence[Edit]) -> None:
        before = self.result.drafts
        after: Mapping[str, Draft] = before
        for edit in kept:
            after = edit.apply(self.library, after)
        self.result.plan += kept
        ids = changed(before, after)
        self.result.drafts = dict(after)
        self.result.after |= self._embedded(after, ids)

    def _record(self, number: int) -> None:
        for tasks, is_rewarded in ((self.scorer.rewarded, True), (self.scorer.others, False)):
            self.result.scores += [
                TaskScore(number, task, is_rewarded, self.scorer.score(task, self.result.after))
                for task in tasks
            ]

    def _reward(self, vectors: Vectors, *, permuted: bool = False) -> float:
        scores = [
            self.scorer.score(task, vectors, permuted=permuted) for task in self.scorer.rewarded
        ]
        return float(np.mean(scores))

    def _with(self, before: Drafts, after: Drafts) -> dict[str, Matrix]:
        """The present vectors, with those of the drafts that differ."""
        return self.result.after | self._embedded(after, changed(before, after))

    def _embedded(self, drafts: Drafts, ids: Sequence[str]) -> dict[str, Matrix]:
        if not ids:
            return {}
        texts = [self.library.text(id_, drafts[id_]) for id_ in ids]
        return dict(zip(ids, self.embed(texts), strict=True))

    def _shuffled(self, drafts: Drafts, proposals: Sequence[Edit], random: Random) -> Drafts:
        """The genes that one of the edits changes, with drafts of the new length at random."""
        after = random.choice(list(proposals)).apply(self.library, drafts)
        shuffled = dict(drafts)
        for id_ in changed(drafts, after):
            n_lines = len(self.library.evidence[id_].lines)
            shuffled[id_] = shuffled_draft(after[id_], n_lines, random)
        return shuffled

    def _example(self, drafts: Drafts, edit: Edit) -> tuple[int, str, str, str, tuple[str, ...]]:
        after = edit.apply(self.library, drafts)
        ids = changed(drafts, after)
        example = min(ids, key=lambda id_: self.library.evidence[id_].symbol)
        return (
            len(ids),
            example,
            self.library.text(example, drafts[example]),
            self.library.text(example, after[example]),
            self.library.evidence[example].lines,
        )


class _Chosen(NamedTuple):
    kept: list[Edit]
    reasons: dict[Edit, str]
