"""Predictions for genes that a screen did not perturb: calibrated or abstained from, with evidence.

A model of a screen is trained on all its perturbations. Its probabilities are calibrated on folds
over them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from genept.benchmarks import Floats
from genept.datasources import QUESTIONS, Question
from genept.embeddings import Spaces
from genept.perturbations.arena import VARIANTS
from genept.perturbations.effects import Effects
from genept.perturbations.votes import Matrix, Vote

FOLDS: Final = 5
SEED: Final = 0
LEAST_PERTURBATIONS: Final = 30
"""Perturbations of a screen below which nothing is predicted from it: on a few, a calibration may
turn the votes round."""

TOP: Final = 10
"""Effects of each gene that are published."""

N_EVIDENCE: Final = 5
_CHUNK: Final = 512


class Evidence(NamedTuple):
    """A training perturbation that a prediction rests on.

    Parameters
    ----------
    gene, name
        Its id, and the name in the screen.
    similarity
        Mean cosine with the gene whose perturbation is predicted.
    label
        What it did to the measured gene.
    """

    gene: str
    name: str
    similarity: float
    label: bool


@dataclass(frozen=True)
class Model:
    """A vote on all perturbations of a screen, with its calibration; make it with `Model.fit`.

    Parameters
    ----------
    vote
        The predictor.
    weights
        Of the votes, of the log odds of the gene's mean, of the perturbation's strength, and the
        constant: a logistic regression.
    """

    vote: Vote
    weights: Floats

    @classmethod
    def fit(cls, effects: Effects, spaces: Spaces) -> Model:
        """Train on every perturbation; calibrate on folds over them.

        Raises
        ------
        ValueError
            There is no space that the variant reads.
        """
        from sklearn.linear_model import LogisticRegression

        variant = VARIANTS[effects.question]
        n = len(effects.perturbations)
        fold = np.random.default_rng(SEED).permutation(n) % FOLDS
        inputs = np.zeros((len(effects.row), 3))
        for number in range(FOLDS):
            held = fold == number
            vote = Vote.fit(variant, spaces, effects, ~held)
            pairs, genes = effects.pairs_of(held), effects.ids_of(held)
            row, column = effects.rows_of(held), effects.column[pairs]
            inputs[pairs, 0] = vote.votes(genes)[row, column]
            inputs[pairs, 1] = _log_odds(vote.mean)[column]
            if variant.strength:
                inputs[pairs, 2] = vote.strengths(genes)[row]
        fitted = LogisticRegression(C=1e3).fit(inputs, effects.label)
        weights = np.append(fitted.coef_[0], fitted.intercept_)
        return cls(Vote.fit(variant, spaces, effects, np.ones(n, dtype=bool)), weights)

    def probabilities(self, genes: Sequence[str]) -> Floats:
        """Calibrated probability of yes, for every measured gene.

        Parameters
        ----------
        genes
            Ids of the genes whose perturbation is asked about.

        Returns
        -------
        NDArray
            Shape (len(genes), n_genes).
        """
        votes, prior, strength, constant = self.weights
        logit = votes * self.vote.votes(genes) + prior * _log_odds(self.vote.mean) + constant
        if self.vote.variant.strength:
            logit += strength * self.vote.strengths(genes)[:, None]
        return np.asarray(1 / (1 + np.exp(-logit)))

    def evidence(self, cosines: Matrix, measured: str) -> list[Evidence]:
        """Find the training perturbations that decided about a measured gene.

        Parameters
        ----------
        cosines
            Those of one gene with the training perturbations, shape (n_training,).
        measured
            Id of the measured gene.

        Returns
        -------
        list of Evidence
            At most `N_EVIDENCE`, the most similar one first; only those whose effect on the gene
            was measured.
        """
        vote = self.vote
        if measured not in vote.effects.genes:
            return []
        column = vote.effects.genes.index(measured)
        known = np.flatnonzero((vote.counted[:, column] > 0) & (cosines > 0))
        best = known[np.argsort(-cosines[known], kind="stable")[:N_EVIDENCE]]
        return [
            Evidence(
                vote.training_ids[at],
                vote.effects.names[vote.training[at]],
                float(cosines[at]),
                bool(vote.residual[at, column] > 0),
            )
            for at in best
        ]


def _log_odds(mean: Floats) -> Floats:
    bounded = np.clip(mean, 1e-3, 1 - 1e-3)
    return np.asarray(np.log(bounded / (1 - bounded)))


def fit_models(rows: pl.DataFrame, spaces: Spaces) -> dict[Question, Model]:
    """Fit the models of one screen.

    Parameters
    ----------
    rows
        Rows of table `perturbation_effects` of the screen.
    spaces
        Vectors by id.

    Returns
    -------
    dict of str to Model
        By question; one that the screen does not answer for `LEAST_PERTURBATIONS` is left out.
    """
    every = ((question, Effects.of(rows, question)) for question in QUESTIONS)
    return {
        name: Model.fit(effects, spaces)
        for name, effects in every
        if effects is not None and len(effects.perturbations) >= LEAST_PERTURBATIONS
    }


def predict_unseen(
    models: Mapping[Question, Model], genes: Sequence[str], top: int = TOP
) -> pl.DataFrame:
    """Predict the strongest effects of perturbing genes that a screen did not perturb.

    Parameters
    ----------
    models
        Those of one screen; there is one of question ``de``.
    genes
        Ids of genes.
    top
        How many effects of each gene.

    Returns
    -------
    pl.DataFrame
        Rows of table `perturbation_predictions`; one of rank 0 for a gene from which the model
        abstains.
    """
    seen = {gene for model in models.values() for gene in model.vote.effects.perturbations}
    asked = [gene for gene in dict.fromkeys(genes) if gene not in seen]
    return pl.DataFrame(
        [
            row
            for begin in range(0, len(asked), _CHUNK)
            for row in _predicted(models, asked[begin : begin + _CHUNK], top)
        ],
        schema_overrides={"measured_gene": pl.String}
        | dict.fromkeys(("probability", "base_rate", "probability_up"), pl.Float64),
        infer_schema_length=None,
    )


def _predicted(
    models: Mapping[Question, Model], genes: Sequence[str], top: int
) -> Iterator[dict[str, object]]:
    model = models["de"]
    vote = model.vote
    named = np.flatnonzero([gene.startswith("ENSG") for gene in vote.effects.genes])
    cosines, probability = vote.cosines(genes), model.probabilities(genes)
    up = np.empty((len(genes), 0))
    place: dict[str, int] = {}
    if (of_direction := models.get("dir")) is not None:
        up = of_direction.probabilities(genes)
        place = {gene: at for at, gene in enumerate(of_direction.vote.effects.genes)}
    for at, gene in enumerate(genes):
        nearest = np.argsort(-cosines[at], kind="stable")[:N_EVIDENCE]
        similarity = float(np.clip(cosines[at, nearest[0]], 0, 1))
        abstained = similarity < vote.variant.near
        common = {
            "screen": vote.effects.screen,
            "ensembl_gene_id": gene,
            "abstained": abstained,
            "nearest": similarity,
            "evidence": [vote.effects.names[vote.training[number]] for number in nearest],
        }
        values = ("measured_gene", "probability", "base_rate", "probability_up")
        empty = {"rank": 0} | dict.fromkeys(values)
        if abstained:
            yield common | empty
            continue
        best = named[np.argsort(-probability[at, named], kind="stable")[:top]]
        for rank, column in enumerate(best.tolist(), start=1):
            measured = vote.effects.genes[column]
            yield common | {
                "rank": rank,
                "measured_gene": measured,
                "probability": float(probability[at, column]),
                "base_rate": float(vote.mean[column]),
                "probability_up": float(up[at, place[measured]]) if measured in place else None,
            }
