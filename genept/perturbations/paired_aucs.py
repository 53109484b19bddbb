"""Scores of predicted effects: AUC within each measured gene, with paired bootstrap intervals.

A gene's AUC is over the pairs of a perturbation with and one without the effect. A draw of
perturbations only changes how often each pair counts, so all representations are scored on the same
draws by one product of matrices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from genept.benchmarks import Floats, Indices
from genept.nomenclature import Flags
from genept.perturbations.effects import Effects

N_DRAWS: Final = 400
_CHUNK: Final = 50
_MOST_VALUES: Final = 1 << 25
"""Draws × pairs of both classes that are held in memory together."""


@dataclass(frozen=True)
class ClassPairs:
    """Pairs of test perturbations that differ in their effect on a measured gene.

    Parameters
    ----------
    yes, no
        Number of the pair of `Effects` with and without the effect, shape (n_class_pairs,).
    gene
        Number of the gene among those with both classes, shape (n_class_pairs,).
    n_genes
        How many genes have both classes.
    """

    yes: Indices
    no: Indices
    gene: Indices
    n_genes: int

    @classmethod
    def of(cls, effects: Effects, test: Flags) -> ClassPairs:
        """Pair the labels of test perturbations, gene by gene; genes of one class have none."""
        pairs = effects.pairs_of(test)
        pairs = pairs[np.argsort(effects.column[pairs], kind="stable")]
        starts = np.flatnonzero(np.diff(effects.column[pairs], prepend=-1))
        yes, no, gene = [], [], []
        n_genes = 0
        for own in np.split(pairs, starts[1:]):
            positive, negative = own[effects.label[own]], own[~effects.label[own]]
            if len(positive) and len(negative):
                yes.append(np.repeat(positive, len(negative)))
                no.append(np.tile(negative, len(positive)))
                gene.append(np.full(len(positive) * len(negative), n_genes, dtype=np.intp))
                n_genes += 1
        if not n_genes:
            raise ValueError(
                f"{effects.screen}, {effects.question}: no measured gene has both classes among "
                f"{int(test.sum())} test perturbations"
            )
        return cls(np.concatenate(yes), np.concatenate(no), np.concatenate(gene), n_genes)

    def won(self, score: Floats) -> Floats:
        """Whether the effect was scored higher where it is, ties half; shape (n_class_pairs,).

        Parameters
        ----------
        score
            Score of every pair of `Effects`.
        """
        return np.asarray(0.5 + 0.5 * np.sign(score[self.yes] - score[self.no]))

    def mean(self, won: Floats) -> Floats:
        """Mean AUC over the measured genes.

        Parameters
        ----------
        won
            What `won` returns, of every representation; shape (n_class_pairs, n).

        Returns
        -------
        NDArray
            Shape (n,).
        """
        size = np.bincount(self.gene, minlength=self.n_genes)
        of_gene = np.zeros((self.n_genes, won.shape[1]))
        np.add.at(of_gene, self.gene, won)
        return np.asarray((of_gene / size[:, None]).mean(axis=0))


@dataclass(frozen=True)
class AucInterval:
    """A value and its 95 % interval by basic bootstrap."""

    value: float
    low: float
    high: float


def comparable(effects: Effects, test: Flags) -> bool:
    """Whether a score can be had: some measured gene has both classes among the perturbations.

    Parameters
    ----------
    effects
        The labels.
    test
        Which perturbations were held out, shape (n_perturbations,).

    Returns
    -------
    bool
        Without it `ClassPairs.of` refuses.
    """
    pairs = effects.pairs_of(test)
    n = np.bincount(effects.column[pairs])
    yes = np.bincount(effects.column[pairs], weights=effects.label[pairs])
    return bool(((yes > 0) & (yes < n)).any())


def mean_aucs(
    effects: Effects,
    test: Flags,
    scores: Mapping[str, Floats],
    main_control: str,
    *,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> tuple[ClassPairs, dict[str, tuple[AucInterval, AucInterval]]]:
    """Score predictions by the mean AUC over measured genes that have both classes.

    The genes are those of all test perturbations. In a draw a gene counts as much as its pairs were
    drawn against how many it has, on average once: so genes with a single perturbation that has the
    effect vary with it, and no gene drops out of the set.

    Parameters
    ----------
    effects
        The labels.
    test
        Which perturbations were held out, shape (n_perturbations,).
    scores
        By representation, the score of every pair of `effects` (only those of test perturbations
        are read).
    main_control
        The representation that the others are compared with.
    n_draws, seed
        Number of bootstrap draws of perturbations, and what decides them.

    Returns
    -------
    ClassPairs
        What was compared.
    dict of str to (AucInterval, AucInterval)
        The mean AUC, and its difference to that of the main control, by representation.

    Raises
    ------
    ValueError
        No gene has both classes.
    """
    class_pairs = ClassPairs.of(effects, test)
    names = list(scores)
    won = np.column_stack([class_pairs.won(scores[name]) for name in names])
    value = class_pairs.mean(won)
    draws = auc_draws(effects, test, class_pairs, won, n_draws, seed)
    control = names.index(main_control)
    results = {}
    for at, name in enumerate(names):
        difference = draws[:, at] - draws[:, control]
        results[name] = (
            _basic(value[at], draws[:, at]),
            _basic(value[at] - value[control], difference),
        )
    return class_pairs, results


def auc_draws(
    effects: Effects, test: Flags, class_pairs: ClassPairs, won: Floats, n_draws: int, seed: int
) -> Floats:
    """Draw perturbations anew; a gene counts as its pairs are drawn.

    Parameters
    ----------
    effects, test
        As in `mean_aucs`.
    class_pairs
        Those of `test`.
    won
        As `ClassPairs.won` returns it, of every representation; shape (n_class_pairs, n).
    n_draws, seed
        Number of draws, and what decides them.

    Returns
    -------
    NDArray
        The mean AUC of every representation in every draw, shape (n_draws, n).
    """
    tested = np.flatnonzero(test)
    place = np.zeros(len(test), dtype=np.intp)
    place[tested] = np.arange(len(tested))
    yes, no = place[effects.row[class_pairs.yes]], place[effects.row[class_pairs.no]]
    size = np.bincount(class_pairs.gene)[class_pairs.gene]
    rng = np.random.default_rng(seed)
    result = []
    step = min(_CHUNK, max(_MOST_VALUES // len(yes), 1))
    for begin in range(0, n_draws, step):
        n = min(step, n_draws - begin)
        times = rng.multinomial(len(tested), np.full(len(tested), 1 / len(tested)), size=n)
        share = (times[:, yes] * times[:, no] / size).astype(np.float32)
        excess = share @ (won - 0.5).astype(np.float32) / share.sum(axis=1, keepdims=True)
        result.append(0.5 + excess.astype(np.float64))
    return np.concatenate(result)


def _basic(value: float, draws: Floats) -> AucInterval:
    """The basic interval: the percentiles mirrored at the value, so that a shift is taken out."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return AucInterval(float(value), float(2 * value - high), float(2 * value - low))
