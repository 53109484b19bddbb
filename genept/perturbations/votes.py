"""The predictor: training perturbations vote for what a similar one does to each measured gene.

Everything is sums over matrices of perturbations × measured genes. Which variant is used was chosen
on training perturbations (`docs/perturbations.md`); how it is scored is in
`genept.perturbations.paired_aucs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genept.benchmarks import Floats, Indices
from genept.datasources import Question
from genept.embeddings import Spaces
from genept.nomenclature import Flags
from genept.perturbations.effects import Effects
from genept.storage import sha256_of

Matrix = NDArray[np.float32]
_SMALLEST: Final = 1e-9


@dataclass(frozen=True)
class Variant:
    """What is declared of a predictor before it is tested.

    Parameters
    ----------
    question
        What it answers.
    spaces
        Ids of the spaces whose cosines are averaged.
    power
        A vote counts max(cosine, 0) to this power.
    shrinkage
        Weight of the gene's training mean against the votes.
    strength
        Weight of the predicted mean effect of the perturbation on all genes; 0: none.
    ridge
        Penalty of the ridge regression that predicts that mean.
    near
        Cosine below which no training perturbation counts as near: the model abstains.
    """

    question: Question
    spaces: tuple[str, ...]
    power: float = 2.0
    shrinkage: float = 0.05
    strength: float = 0.0
    ridge: float = 10.0
    near: float = 0.25

    @property
    def sha256(self) -> str:
        """Hash of the declaration."""
        return sha256_of(asdict(self))


@dataclass(frozen=True)
class Vote:
    """A fitted predictor; make it with `Vote.fit`.

    Parameters
    ----------
    variant, spaces
        What it is made of.
    effects
        The labels.
    training
        Numbers of the training perturbations, shape (n_training,).
    residual, counted
        What each did beyond the gene's training mean, and whether that is known; shape
        (n_training, n_genes).
    mean
        The genes' training means, shape (n_genes,).
    centres
        Mean vector of the training perturbations, by space.
    """

    variant: Variant
    spaces: Spaces
    effects: Effects
    training: Indices
    residual: Matrix
    counted: Matrix
    mean: Floats
    centres: Mapping[str, Floats]

    @classmethod
    def fit(cls, variant: Variant, spaces: Spaces, effects: Effects, training: Flags) -> Vote:
        """Fit the means, residuals and centres on the chosen perturbations.

        Parameters
        ----------
        variant
            What to fit.
        spaces
            Vectors by id; a space of the variant that is missing is left out.
        effects
            Labels of the screen; those of other perturbations are not read.
        training
            Which perturbations are for training, shape (n_perturbations,).

        Returns
        -------
        Vote
            The predictor.

        Raises
        ------
        ValueError
            There is none of the variant's spaces, or no training perturbation.
        """
        chosen = np.flatnonzero(training)
        if not len(chosen):
            raise ValueError("a vote needs a training perturbation, there is none")
        pairs = effects.pairs_of(training)
        at = effects.rows_of(training), effects.column[pairs]
        shape = len(chosen), len(effects.genes)
        label, counted = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        label[at], counted[at] = effects.label[pairs], 1
        overall = effects.label[pairs].mean()
        mean = (label.sum(axis=0) + overall) / (counted.sum(axis=0) + 1)
        return cls(
            variant=variant,
            spaces={},
            effects=effects,
            training=chosen,
            residual=np.asarray(counted * (label - mean), np.float32),
            counted=counted,
            mean=np.asarray(mean, np.float64),
            centres={},
        ).reading(variant, spaces)

    def reading(self, variant: Variant, spaces: Spaces) -> Vote:
        """Return the predictor that reads other vectors, fitted on the same labels.

        Parameters
        ----------
        variant, spaces
            As in `Vote.fit`.

        Returns
        -------
        Vote
            The predictor.

        Raises
        ------
        ValueError
            There is none of the variant's spaces.
        """
        used = {name: spaces[name] for name in variant.spaces if name in spaces}
        if not used:
            raise ValueError(f"a vote needs one of the spaces {', '.join(variant.spaces)}")
        centres = {name: space.centre(self.training_ids) for name, space in used.items()}
        return replace(self, variant=variant, spaces=used, centres=centres)

    @property
    def training_ids(self) -> list[str]:
        """Ids of the training perturbations."""
        return [self.effects.perturbations[number] for number in self.training]

    def centred(self, genes: Sequence[str]) -> list[Matrix]:
        """Centred unit vectors of genes, by space."""
        return [space.centred(genes, self.centres[name]) for name, space in self.spaces.items()]

    @cached_property
    def _own(self) -> list[Matrix]:
        """Those of the training perturbations."""
        return self.centred(self.training_ids)

    @cached_property
    def _strength_weights(self) -> Floats:
        """Coefficients of the ridge regression to the mean residual, by dimension."""
        seen = self.counted.sum(axis=1)
        target = self.residual.sum(axis=1, dtype=np.float64) / np.maximum(seen, 1)
        own = self._side_by_side(self._own)
        penalty = self.variant.ridge * np.eye(len(own))
        return np.asarray(own.T @ np.linalg.solve(own @ own.T + penalty, target - target.mean()))

    def _side_by_side(self, vectors: Sequence[Matrix]) -> Floats:
        return np.asarray(np.hstack(vectors).astype(np.float64) / np.sqrt(len(self.spaces)))

    def cosines(self, genes: Sequence[str]) -> Matrix:
        """Mean cosine over the spaces of genes with the training perturbations, after centring.

        Parameters
        ----------
        genes
            Ids of the genes whose perturbation is asked about.

        Returns
        -------
        NDArray
            Shape (len(genes), n_training); a space without the gene counts as 0.
        """
        result = np.zeros((len(genes), len(self.training)), np.float32)
        for asked, own in zip(self.centred(genes), self._own, strict=True):
            result += asked @ own.T
        return result / np.float32(len(self.spaces))

    def scores(self, genes: Sequence[str]) -> Floats:
        """Score the effect of perturbing genes on every measured gene; higher is yes.

        Parameters
        ----------
        genes
            Ids of the genes whose perturbation is asked about.

        Returns
        -------
        NDArray
            Shape (len(genes), n_genes); comparable within a measured gene.
        """
        scores = standardised(self.votes(genes))
        if self.variant.strength:
            scores += self.variant.strength * standardised(self.strengths(genes))[:, None]
        return scores

    def votes(self, genes: Sequence[str]) -> Floats:
        """Weigh the residuals of similar training perturbations, for every measured gene.

        Parameters
        ----------
        genes
            Ids of the genes whose perturbation is asked about.

        Returns
        -------
        NDArray
            Shape (len(genes), n_genes); no gene's row depends on the other genes.
        """
        weight = np.maximum(self.cosines(genes), 0) ** np.float32(self.variant.power)
        weighed, weights = weight @ self.residual, weight @ self.counted
        return np.asarray(weighed / (weights + np.float32(self.variant.shrinkage)), np.float64)

    def strengths(self, genes: Sequence[str]) -> Floats:
        """Predict the mean residual of perturbing genes by ridge regression from their vectors.

        Returns
        -------
        NDArray
            Shape (len(genes),).
        """
        return np.asarray(self._side_by_side(self.centred(genes)) @ self._strength_weights)


def standardised(values: Floats) -> Floats:
    """Take the mean off and divide by the standard deviation, over all values."""
    deviation = values.std()
    return np.asarray((values - values.mean()) / (deviation if deviation > _SMALLEST else 1))
