"""The direction of the effects of perturbed genes as a task that scores edited descriptions.

Of each screen only the perturbations that its authors train on are read, and three tenths of these
are hidden. How directions are predicted and scored is `genept.perturbations`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.client.editing.edit_scores import DRAWS, FOLDS, HiddenChange, Vectors, hidden_genes
from genept.embeddings import KnownVectors
from genept.perturbations import (
    LEAST_PERTURBATIONS,
    VARIANTS,
    ClassPairs,
    Effects,
    Vote,
    auc_draws,
    comparable,
)

PREFIX: Final = "perturbation-direction/"
"""The id of such a task is this and the screen."""

EDITED: Final = "edited"
VARIANT: Final = replace(VARIANTS["dir"], spaces=(EDITED,))
"""The declared predictor, of one space."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class DirectionTask:
    """Whether perturbing a gene raises or lowers others.

    Parameters
    ----------
    effects
        Directions of the perturbations that may be looked at.
    """

    effects: Effects = field(repr=False)

    @property
    def genes(self) -> tuple[str, ...]:
        """The perturbed genes."""
        return self.effects.perturbations

    @cached_property
    def is_hidden(self) -> Flags:
        """Which of them decide nothing."""
        return hidden_genes(self.genes)

    @cached_property
    def training_genes(self) -> list[str]:
        """Those that decide."""
        return self.effects.ids_of(~self.is_hidden)

    def score(self, vectors: Vectors, *, permuted: bool) -> float:
        """Mean AUROC within measured genes over training perturbations, out of five folds."""
        seen = np.flatnonzero(~self.is_hidden)
        rows = np.arange(len(self.genes))
        random = np.random.default_rng(0)
        if permuted:
            rows[seen] = random.permutation(seen)
        known = self._known(vectors, rows)
        fold = np.full(len(self.genes), -1)
        fold[seen] = random.permutation(len(seen)) % FOLDS
        scores = np.zeros(len(self.effects.row))
        for number in range(FOLDS):
            test = fold == number
            self._predict(known, ~test & ~self.is_hidden, test, scores)
        pairs = self._training_pairs
        return float(pairs.mean(pairs.won(scores)[:, None])[0])

    def change(self, before: Vectors, after: Vectors, random: np.random.Generator) -> HiddenChange:
        """Change of the AUROC of the hidden perturbations, of which draws are made."""
        pairs = ClassPairs.of(self.effects, self.is_hidden)
        won = np.column_stack([pairs.won(self._hidden_scores(each)) for each in (before, after)])
        old, new = pairs.mean(won)
        drawn = auc_draws(
            self.effects, self.is_hidden, pairs, won, DRAWS, int(random.integers(2**31))
        )
        difference = float(new - old)
        # Mirrored at the difference: draws lie off centre, as in `genept.perturbations`.
        return HiddenChange(float(new), difference, 2 * difference - (drawn[:, 1] - drawn[:, 0]))

    @cached_property
    def _training_pairs(self) -> ClassPairs:
        return ClassPairs.of(self.effects, ~self.is_hidden)

    def _hidden_scores(self, vectors: Vectors) -> NDArray[np.float64]:
        scores = np.zeros(len(self.effects.row))
        known = self._known(vectors, np.arange(len(self.genes)))
        self._predict(known, ~self.is_hidden, self.is_hidden, scores)
        return scores

    def _known(self, vectors: Vectors, rows: NDArray[np.intp]) -> KnownVectors:
        return KnownVectors.of(self.genes, np.stack([vectors[id_] for id_ in self.genes])[rows])

    def _predict(
        self, known: KnownVectors, training: Flags, test: Flags, scores: NDArray[np.float64]
    ) -> None:
        """Write the scores of the pairs of the test perturbations."""
        vote = Vote.fit(VARIANT, {EDITED: known}, self.effects, training)
        pairs = self.effects.pairs_of(test)
        predicted = vote.votes(self.effects.ids_of(test))
        scores[pairs] = predicted[self.effects.rows_of(test), self.effects.column[pairs]]


def direction_tasks(
    screens: Mapping[str, pl.DataFrame], known: Collection[str]
) -> dict[str, DirectionTask]:
    """Tasks on the training perturbations of screens.

    Parameters
    ----------
    screens
        Rows of table `perturbation_effects` by screen.
    known
        Genes with evidence.

    Returns
    -------
    dict of str to DirectionTask
        By `PREFIX` and screen; of screens with at least `LEAST_PERTURBATIONS` such genes, of which
        hidden and training ones can be scored.
    """
    tasks = {}
    for screen, rows in screens.items():
        own = rows.filter(split="train").filter(pl.col("perturbed_gene").is_in(list(known)))
        effects = Effects.of(own, "dir")
        if effects is None or len(effects.perturbations) < LEAST_PERTURBATIONS:
            continue
        task = DirectionTask(effects)
        if all(comparable(effects, part) for part in (task.is_hidden, ~task.is_hidden)):
            tasks[PREFIX + screen] = task
    return tasks


def perturbed_genes(screens: Mapping[str, pl.DataFrame]) -> Sequence[str]:
    """Genes of the perturbations that such tasks read.

    Parameters
    ----------
    screens
        Rows of table `perturbation_effects` by screen.

    Returns
    -------
    list of str
        Ensembl ids of training perturbations with a direction, each once.
    """
    perturbed = {
        id_
        for rows in screens.values()
        for id_ in rows.filter(pl.col("direction").is_not_null(), split="train")["perturbed_gene"]
    }
    return sorted(perturbed - {None})
