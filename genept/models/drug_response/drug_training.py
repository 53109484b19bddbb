"""Drug-response models over screens of the lake: what they read, and the tables they leave.

The fitting itself is in `genept.models.drug_response.drug_retraining`, promotion in
`genept.models.training`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from sklearn.metrics import root_mean_squared_error

from genept.embeddings import BOTH, EXPRESSION, representation_name
from genept.models.drug_response.drug_retraining import DrugRetraining
from genept.models.drug_response.evaluation import N_FOLDS, compare_representations
from genept.models.drug_response.predictors import NAIVE
from genept.models.drug_response.screens import EMBEDDING, Screen
from genept.models.evidence import Interval
from genept.models.holdout import ANY, FrozenFolds, Holdout, Regime, Rows
from genept.models.stored_models import LIBRARIES
from genept.models.training import CODE, SEED, Training, score_rows
from genept.storage import NewPart, Origin, Part

PREFIX: Final = "drug-response-"
"""Begins the names of drug-response models; the id of the screen follows."""

SELECTED: Final = "selected"
LIMITS: Final = (
    "Sensitive means a response below the drug's mean over the training lines.",
    "A line's sensitivity to everything counts as signal.",
    "The gate looks at a share of the pairs; the responses' own scores are of all held-out pairs.",
)


def is_drug_model(model: str) -> bool:
    """Whether a name is that of a drug-response model, which predicts pairs.

    Parameters
    ----------
    model
        Name of a model.

    Returns
    -------
    bool
        True for names that begin with ``drug-response-``.
    """
    return model.startswith(PREFIX)


@dataclass(frozen=True)
class DrugTraining(Training):
    """One screen on one state of the data; its tables are those of predictions and of their scores.

    Parameters
    ----------
    responses
        Part of table ``drug_responses``.
    """

    responses: Part

    @property
    def model(self) -> str:
        """Name of the model."""
        return f"{PREFIX}{self.collection}"

    @property
    def label(self) -> str:
        """What it predicts of a cell line."""
        return "sensitivity to each drug"

    @property
    def limits(self) -> tuple[str, ...]:
        """Sentences on the data and on this kind of model, for the card."""
        return (*self.caveats, *LIMITS)

    @cached_property
    def origin(self) -> Origin:
        """What decides the result."""
        inputs = {**self.parts.inputs, "drug_responses": self.responses.sha256}
        settings = {"seed": SEED, "unit": self.unit, "space": self.space.id}
        return Origin(CODE, inputs, settings, LIBRARIES)

    @cached_property
    def screen(self) -> Screen:
        """The screen with its features."""
        name = representation_name(self.space)
        read = (self.lake, self.collection, self.unit, self.parts, self.responses)
        return Screen(*read, space=name, smiles={})

    @cached_property
    def fit(self) -> DrugRetraining:
        """The model, trained on all but the holdout."""
        return DrugRetraining(self.screen.rows, (EXPRESSION, BOTH), self.model, SEED)

    @property
    def rows(self) -> Rows:
        """All samples that take part, held out or not."""
        return self.fit.rows

    @property
    def holdout(self) -> Holdout:
        """The held-out samples that the gate evaluates."""
        return Holdout.of(self.judged.ids)

    @property
    def judged(self) -> Rows:
        """The same with features, for predictions of the champion."""
        return self.fit.judged

    def tables(self) -> list[NewPart]:
        """Parts of published tables; ``model_folds`` is among them."""
        rows = {
            "drug_response_predictions": self._predictions(),
            "model_evaluations": pl.concat([self._compared(), self._evaluations()]),
            "model_folds": self._folds(),
        }
        return [NewPart(name, frame, (self.model,)) for name, frame in rows.items()]

    def _predictions(self) -> pl.DataFrame:
        """Every measured pair by a model that did not see its line."""
        unseen, rows = self.fit.unseen, self.screen.rows
        return pl.DataFrame(
            {
                "model": self.model,
                "model_version": self.version,
                "representation": SELECTED,
                "collection_id": self.collection,
                "observation_id": rows.ids[rows.pairs.line],
                "drug_id": rows.drugs[rows.pairs.drug],
                "fold": self.fit.folds,
                "measured": rows.pairs.value,
                "prediction": unseen.prediction,
                "low": unseen.prediction - unseen.reach,
                "high": unseen.prediction + unseen.reach,
                "abstained": unseen.abstained,
            }
        ).sort("observation_id", "drug_id")

    def _compared(self) -> pl.DataFrame:
        """Every representation under the same ridge on the same folds, beside its controls."""
        views, rows = self.screen.views, self.screen.rows
        features = {**self.screen.features, **views.spaces}
        features.pop(EMBEDDING)
        controls = [*views.controls, EXPRESSION]
        scores = compare_representations(
            rows, features, published=BOTH, controls=controls, seed=SEED
        )
        return self.evaluations(scores, f"leave-cell-line-out-{N_FOLDS}-fold-seed-{SEED}")

    def _evaluations(self) -> pl.DataFrame:
        """The model itself, out of fold and on the holdout; the naive predictors on the holdout."""
        fit, pairs, seen = self.fit, self.screen.rows.pairs, ~self.fit.out
        n = len(np.unique(fit.folds[seen]))
        trained = score_rows(fit.response_scores(seen, fit.naive), SELECTED, is_control=False)
        held_out = score_rows(fit.evidence.scores, SELECTED, is_control=False, prefix="holdout_")
        for name, predict in NAIVE.items():
            error = root_mean_squared_error(pairs.value[fit.out], predict(pairs, seen)[fit.out])
            rmse = {"holdout_rmse": Interval(value=error, n=int(fit.out.sum()))}
            held_out += score_rows(rmse, name, is_control=True)
        return pl.concat(
            [
                # `_compared` scores all lines: a split of its own keeps the two apart.
                self.evaluations(trained, f"leave-cell-line-out-of-training-{n}-fold-seed-{SEED}"),
                self.evaluations(held_out, f"holdout-{self.holdout.sha256[:12]}"),
            ]
        )

    def _folds(self) -> pl.DataFrame:
        rows = self.screen.rows
        lines = np.unique(rows.pairs.line)
        frozen = FrozenFolds(
            Regime.LEAVE_CELL_LINE_OUT,
            rows.ids[lines],
            np.full(len(lines), ANY),
            rows.groups[lines],
            self.fit.line_folds[lines],
        )
        held_out = np.unique(rows.pairs.line[self.fit.out])
        return frozen.table(self.model, self.collection, holdout=Holdout.of(rows.ids[held_out]))
