"""Drug-response models over screens of the lake: what they read, and the tables they leave.

The fitting itself is in `genept.models.drug_response.drug_retraining`, what becomes of a model in
`genept.models.training`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl

from genept.embeddings.representations import BOTH, EXPRESSION, CollectionParts, representation_name
from genept.models.drug_response.drug_retraining import DrugRetraining
from genept.models.drug_response.evaluation import run_drug_response
from genept.models.drug_response.predictors import NAIVE
from genept.models.drug_response.screens import Screen
from genept.models.evidence import Interval
from genept.models.registry import ModelRegistry
from genept.models.splits.folds import ANY, FrozenFolds, Regime
from genept.models.splits.holdout import Holdout, Rows
from genept.models.training import CODE, LIBRARIES, SEED, Retraining, train, version_of
from genept.storage.lake import Lake
from genept.storage.provenance import NewPart, Origin, Part
from genept.text.embedders.spaces import Space

PREFIX: Final = "drug-response-"
LABEL: Final = "sensitivity to each drug"
SELECTED: Final = "selected"
LIMITS: Final = (
    "Sensitive means a response below the drug's mean over the training lines.",
    "A line's sensitivity to everything counts as signal.",
    "The gate looks at a share of the pairs; the responses' own scores are of all held-out pairs.",
)


def is_drug_model(model: str) -> bool:
    """Whether a name is that of a drug-response model; such a one is asked about pairs."""
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
    """Train the model of a screen unless it is trained, ask the gate, promote if it says so."""
    training = _Training(lake, collection, unit, space, parts, responses, caveats)
    return train(lake, registry, training)


@dataclass(frozen=True)
class _Training:
    """One screen on one state of the data; nothing is read before it is needed."""

    lake: Lake
    collection: str
    unit: str
    space: Space
    parts: CollectionParts
    responses: Part
    of_data: tuple[str, ...]
    label: str = LABEL
    forgotten_on_purpose: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        return f"{PREFIX}{self.collection}"

    @property
    def caveats(self) -> tuple[str, ...]:
        return (*self.of_data, *LIMITS)

    @property
    def left_out(self) -> dict[str, int]:
        return {}

    @cached_property
    def origin(self) -> Origin:
        inputs = {**self.parts.inputs, "drug_responses": self.responses.sha256}
        settings = {"seed": SEED, "unit": self.unit, "space": self.space.id}
        return Origin(CODE, inputs, settings, LIBRARIES)

    @property
    def version(self) -> str:
        return version_of(self.origin)

    @cached_property
    def screen(self) -> Screen:
        name = representation_name(self.space)
        return Screen(
            self.lake, self.collection, self.unit, self.parts, self.responses, space=name, smiles={}
        )

    @property
    def genes(self) -> tuple[str, ...]:
        return self.screen.genes

    @cached_property
    def fit(self) -> DrugRetraining:
        return DrugRetraining(self.screen.rows, (EXPRESSION, BOTH), self.model, SEED)

    @property
    def rows(self) -> Rows:
        return self.fit.rows

    @property
    def holdout(self) -> Holdout:
        return Holdout.of(self.judged.ids)

    @property
    def judged(self) -> Rows:
        return self.fit.judged

    def tables(self) -> list[NewPart]:
        made = {
            "drug_response_predictions": self._predictions(),
            "model_evaluations": pl.concat([self._compared(), self._evaluations()]),
            "model_folds": self._folds(),
        }
        return [NewPart(name, rows, (self.model,)) for name, rows in made.items()]

    def _predictions(self) -> pl.DataFrame:
        """Every measured pair by a model that did not see its line."""
        found, rows = self.fit.unseen, self.screen.rows
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
                "prediction": found.prediction,
                "low": found.prediction - found.reach,
                "high": found.prediction + found.reach,
                "abstained": found.abstained,
            }
        ).sort("observation_id", "drug_id")

    def _compared(self) -> pl.DataFrame:
        """Every representation read by the same ridge on the same folds, beside its controls."""
        views = self.screen.views
        features = {**self.screen.features, **views.spaces}
        features.pop("embedding")
        _, evaluations = run_drug_response(
            features,
            views.observations["observation_id"].to_list(),
            views.observations["group_id"].to_list(),
            self.screen.measured,
            self.collection,
            published=BOTH,
            controls=[*views.controls, EXPRESSION],
            model=self.model,
            model_version=self.version,
            seed=SEED,
        )
        return evaluations

    def _evaluations(self) -> pl.DataFrame:
        """The model itself, out of fold and on the holdout; the naive predictors on the holdout."""
        fit, seen = self.fit, ~self.fit.out
        n = len(np.unique(fit.folds[seen]))
        # Not the lines of `_compared`, which are all: a score of other lines is below nothing.
        split = f"leave-cell-line-out-of-training-{n}-fold-seed-{SEED}"
        held_out = f"holdout-{self.holdout.sha256[:12]}"
        rows = [
            self._row(SELECTED, metric, found, split, is_control=False)
            for metric, found in fit.response_scores(seen, fit.naive).items()
        ]
        rows += [
            self._row(SELECTED, f"holdout_{metric}", found, held_out, is_control=False)
            for metric, found in fit.evidence.scores.items()
        ]
        pairs = self.screen.rows.pairs
        for name, predict in NAIVE.items():
            said = predict(pairs, seen)[fit.out]
            error = float(np.sqrt(((pairs.value[fit.out] - said) ** 2).mean()))
            rmse = Interval(value=error, n=len(said))
            rows.append(self._row(name, "holdout_rmse", rmse, held_out, is_control=True))
        overrides = {"ci_low": pl.Float64, "ci_high": pl.Float64}
        return pl.DataFrame(rows, schema_overrides=overrides)

    def _row(
        self, name: str, metric: str, found: Interval, split: str, *, is_control: bool
    ) -> dict[str, Any]:
        return {
            "model": self.model,
            "model_version": self.version,
            "representation": name,
            "cohort": self.collection,
            "metric": metric,
            "split": split,
            "value": found.value,
            "ci_low": found.low,
            "ci_high": found.high,
            "n": found.n,
            "is_control": is_control,
        }

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
