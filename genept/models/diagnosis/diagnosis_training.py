"""Diagnosis models over collections of the lake: what they read, and the tables they leave.

The fitting itself is in `genept.models.diagnosis.retraining`, what becomes of a model in
`genept.models.training`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from genept.embeddings.representations import (
    BOTH,
    EXPRESSION,
    CollectionParts,
    ObservationViews,
    read_views,
    representation_name,
)
from genept.models.diagnosis.diagnosis_tasks import DiagnosisTask
from genept.models.diagnosis.heads import Contender
from genept.models.diagnosis.predictions import (
    diagnosis_evaluations,
    diagnosis_folds,
    diagnosis_predictions,
)
from genept.models.diagnosis.retraining import Retrained, retrain
from genept.models.registry import ModelRegistry
from genept.models.splits.groups import connected_groups, near_duplicates
from genept.models.splits.holdout import Holdout, Rows, hold_out
from genept.models.training import CODE, LIBRARIES, SEED, Retraining, train, version_of
from genept.models.user_samples import expression_features
from genept.storage.lake import Lake
from genept.storage.provenance import NewPart, Origin
from genept.text.embedders.spaces import Space

Matrix = npt.NDArray[np.float32]


def train_diagnosis(
    lake: Lake,
    task: DiagnosisTask,
    unit: str,
    space: Space,
    parts: CollectionParts,
    registry: ModelRegistry,
    caveats: tuple[str, ...] = (),
) -> Retraining:
    """Train the model of a task unless it is trained, ask the gate, promote if it says so.

    Parameters
    ----------
    caveats
        What the card must say of the data.
    """
    return train(lake, registry, _Training(lake, task, unit, space, parts, caveats))


@dataclass(frozen=True)
class _Training:
    """One task on one state of the data; nothing is read before it is needed."""

    lake: Lake
    task: DiagnosisTask
    unit: str
    space: Space
    parts: CollectionParts
    caveats: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        return self.task.model

    @property
    def collection(self) -> str:
        return self.task.collection

    @property
    def label(self) -> str:
        return self.task.label

    @property
    def forgotten_on_purpose(self) -> tuple[str, ...]:
        return self.task.forgotten_on_purpose

    @cached_property
    def origin(self) -> Origin:
        settings = {"seed": SEED, "unit": self.unit, "space": self.space.id, **self.task.settings}
        return Origin(CODE, self.parts.inputs, settings, LIBRARIES)

    @cached_property
    def views(self) -> ObservationViews:
        views = read_views(self.lake, self.parts)
        return views.only(self.task.takes_part(views.observations).to_numpy())

    @cached_property
    def genes(self) -> tuple[str, ...]:
        axis = self.lake.read(self.parts.axis, ["gene_index", "ensembl_gene_id"])
        return tuple(axis.sort("gene_index")["ensembl_gene_id"].to_list())

    @cached_property
    def beside(self) -> tuple[str, ...]:
        """Spaces that are scored and never chosen: by default one control."""
        others = [name for name in self.views.spaces if name != representation_name(self.space)]
        return tuple(others if self.task.every_space else self.views.controls[:1])

    @cached_property
    def everybody(self) -> Rows:
        """All samples that have a label, of rare classes too."""
        observations = self.views.observations
        labels = observations[self.task.label].to_numpy().astype(np.str_)
        features = _representations(self.views, self.unit, self.space)
        wanted = (EXPRESSION, BOTH, representation_name(self.space), *self.beside)
        cohorts = np.full(len(labels), self.task.collection)
        if self.task.cohort is not None:
            cohorts = observations[self.task.cohort].fill_null("unknown").to_numpy().astype(np.str_)
        return Rows(
            observations["observation_id"].to_numpy().astype(np.str_),
            connected_groups(
                observations["group_id"].to_list(), duplicates=near_duplicates(features[EXPRESSION])
            ),
            cohorts,
            labels,
            {name: features[name] for name in wanted},
        )

    @cached_property
    def left_out(self) -> dict[str, int]:
        rows = self.everybody
        of_class = {str(name): rows.labels == name for name in np.unique(rows.labels)}
        return {
            name: int(mine.sum())
            for name, mine in of_class.items()
            if len(np.unique(rows.groups[mine])) < self.task.min_groups
        }

    @cached_property
    def rows(self) -> Rows:
        return self.everybody.take(~np.isin(self.everybody.labels, list(self.left_out)))

    @cached_property
    def holdout(self) -> Holdout:
        published = dict(self.views.observations.select("observation_id", "group_id").iter_rows())
        patients = [published[str(one)] for one in self.rows.ids]
        return hold_out(self.rows.ids, patients, self.rows.groups, task=self.model)

    @property
    def judged(self) -> Rows:
        return self.rows.take(self.holdout.contains(self.rows.ids))

    @cached_property
    def fit(self) -> Retrained:
        seen = (EXPRESSION, representation_name(self.space), BOTH)
        contenders = [Contender(name, head) for head in self.task.heads for name in seen]
        return retrain(self.rows, self.holdout, contenders, beside=self.beside, seed=SEED)

    def tables(self) -> list[NewPart]:
        model, version = self.model, version_of(self.origin)
        of = (self.fit, self.collection)
        made = {
            "diagnosis_predictions": diagnosis_predictions(*of, model=model, model_version=version),
            "model_evaluations": diagnosis_evaluations(
                *of, controls=self.views.controls, seed=SEED, model=model, model_version=version
            ),
            "model_folds": diagnosis_folds(*of, model=model),
        }
        return [NewPart(name, rows, (model,)) for name, rows in made.items()]


def _representations(views: ObservationViews, unit: str, space: Space) -> dict[str, Matrix]:
    """Expression alone, every space alone, and expression with the chosen space."""
    expression = expression_features(views.expression, unit)
    both = np.hstack([expression, views.spaces[representation_name(space)]])
    return {EXPRESSION: expression, **views.spaces, BOTH: both}
