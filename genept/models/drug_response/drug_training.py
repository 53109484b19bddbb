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

from genept.embeddings import BOTH, EXPRESSION, CollectionParts, representation_name
from genept.models.drug_response.drug_retraining import DrugRetraining
from genept.models.drug_response.evaluation import compare_representations
from genept.models.drug_response.predictors import NAIVE
from genept.models.drug_response.screens import EMBEDDING, Screen
from genept.models.evidence import Interval
from genept.models.registry import ModelRegistry
from genept.models.splits import ANY, FrozenFolds, Holdout, Regime, Rows
from genept.models.training import CODE, LIBRARIES, SEED, Retraining, Training, train
from genept.storage import Lake, NewPart, Origin, Part
from genept.text.embedders import Space

PREFIX: Final = "drug-response-"
"""Begins the names of drug-response models; the id of the screen follows."""

LABEL: Final = "sensitivity to each drug"
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


def train_drug_response(
    lake: Lake,
    collection: str,
    unit: str,
    space: Space,
    parts: CollectionParts,
    responses: Part,
    registry: ModelRegistry,
    caveats: tuple[str, ...] = (),
) -> Retraining:
    """Train the model of a screen unless this version exists, and promote it if it passes the gate.

    Parameters
    ----------
    lake
        Where the data are read from.
    collection, unit
        Id of the collection of cell lines, and the unit of its expression.
    space
        Embedding space to combine with expression.
    parts
        Tables of the collection.
    responses
        Part of table ``drug_responses``.
    registry
        Where models are kept.
    caveats
        Sentences on the data for the card.

    Returns
    -------
    Retraining
        Parts of ``drug_response_predictions``, ``model_evaluations``, ``model_folds`` and
        ``gate_verdicts``, and a summary.

    Raises
    ------
    HoldoutReadError
        If a group of cell lines lies on both sides of the holdout.
    """
    training = DrugTraining(
        lake=lake,
        model=f"{PREFIX}{collection}",
        collection=collection,
        label=LABEL,
        unit=unit,
        space=space,
        parts=parts,
        caveats=(*caveats, *LIMITS),
        responses=responses,
    )
    return train(lake, registry, training)


@dataclass(frozen=True, kw_only=True)
class DrugTraining(Training):
    """One screen on one state of the data.

    Parameters
    ----------
    responses
        Part of table ``drug_responses``.
    """

    responses: Part

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
        return Screen(
            self.lake, self.collection, self.unit, self.parts, self.responses, space=name, smiles={}
        )

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
        views = self.screen.views
        features = {**self.screen.features, **views.spaces}
        features.pop(EMBEDDING)
        return compare_representations(
            self.screen.rows,
            features,
            published=BOTH,
            controls=[*views.controls, EXPRESSION],
            model=self.model,
            version=self.version,
            cohort=self.collection,
            seed=SEED,
        )

    def _evaluations(self) -> pl.DataFrame:
        """The model itself, out of fold and on the holdout; the naive predictors on the holdout."""
        fit, seen = self.fit, ~self.fit.out
        n = len(np.unique(fit.folds[seen]))
        # `_compared` scores all lines: a split of its own keeps the two from being compared.
        split = f"leave-cell-line-out-of-training-{n}-fold-seed-{SEED}"
        held_out = f"holdout-{self.holdout.sha256[:12]}"
        rows = [
            self.evaluation_row(SELECTED, metric, score, split, is_control=False)
            for metric, score in fit.response_scores(seen, fit.naive).items()
        ]
        rows += [
            self.evaluation_row(SELECTED, f"holdout_{metric}", score, held_out, is_control=False)
            for metric, score in fit.evidence.scores.items()
        ]
        pairs = self.screen.rows.pairs
        for name, predict in NAIVE.items():
            predicted = predict(pairs, seen)[fit.out]
            error = float(np.sqrt(((pairs.value[fit.out] - predicted) ** 2).mean()))
            rmse = Interval(value=error, n=len(predicted))
            rows.append(self.evaluation_row(name, "holdout_rmse", rmse, held_out, is_control=True))
        overrides = {"ci_low": pl.Float64, "ci_high": pl.Float64}
        return pl.DataFrame(rows, schema_overrides=overrides)

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
