"""Diagnosis models over collections of the lake: what they read, and the tables they leave.

Published predictions of a sample are by models that never saw its group. For research, not for
diagnosing people. The fitting itself is in `genept.models.diagnosis.retraining`, promotion in
`genept.models.training`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from genept.benchmarks.metrics import classification_scores
from genept.embeddings import (
    BOTH,
    EXPRESSION,
    CollectionParts,
    ObservationViews,
    read_views,
    representation_name,
)
from genept.models.diagnosis.diagnosis_tasks import DiagnosisTask
from genept.models.diagnosis.heads import LINEAR, Contender
from genept.models.diagnosis.retraining import METRICS, Retrained, interval_of, retrain
from genept.models.diagnosis.selection import N_FOLDS
from genept.models.evidence import ABSTAIN_BELOW, Interval
from genept.models.registry import ModelRegistry
from genept.models.splits import (
    ANY,
    FrozenFolds,
    Holdout,
    Regime,
    Rows,
    connected_groups,
    hold_out,
    near_duplicates,
)
from genept.models.training import CODE, LIBRARIES, SEED, Retraining, Training, train
from genept.models.user_samples import expression_features
from genept.storage import Lake, NewPart, Origin
from genept.text.embedders import Space

SELECTED: Final = "selected"
MAJORITY_CLASS: Final = "majority-class"
PERMUTED_LABELS: Final = "permuted-labels"
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
    """Train the model of a task unless this version exists, and promote it if it passes the gate.

    Parameters
    ----------
    lake
        Where the data are read from.
    task
        Label and collection.
    unit
        Unit of the collection's expression.
    space
        Embedding space to choose among with expression.
    parts
        Tables of the collection.
    registry
        Where models are kept.
    caveats
        Sentences on the data for the card.

    Returns
    -------
    Retraining
        Parts of ``diagnosis_predictions``, ``model_evaluations``, ``model_folds`` and
        ``gate_verdicts``, and a summary.
    """
    training = DiagnosisTraining(
        lake=lake,
        model=task.model,
        collection=task.collection,
        label=task.label,
        unit=unit,
        space=space,
        parts=parts,
        caveats=caveats,
        forgotten_on_purpose=task.forgotten_on_purpose,
        task=task,
    )
    return train(lake, registry, training)


@dataclass(frozen=True, kw_only=True)
class DiagnosisTraining(Training):
    """One task on one state of the data."""

    task: DiagnosisTask

    @cached_property
    def origin(self) -> Origin:
        """What decides the result."""
        settings = {"seed": SEED, "unit": self.unit, "space": self.space.id, **self.task.settings}
        return Origin(CODE, self.parts.inputs, settings, LIBRARIES)

    @cached_property
    def views(self) -> ObservationViews:
        """The samples that take part, in every representation."""
        views = read_views(self.lake, self.parts)
        return views.only(self.task.takes_part(views.observations).to_numpy())

    @cached_property
    def beside(self) -> tuple[str, ...]:
        """Spaces that are scored but not chosen from: by default one control."""
        others = [name for name in self.views.spaces if name != representation_name(self.space)]
        return tuple(others if self.task.every_space else self.views.controls[:1])

    @cached_property
    def labelled(self) -> Rows:
        """All samples with a label, those of rare classes included."""
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
        """Number of samples of classes that are too rare, by class."""
        rows = self.labelled
        of_class = {str(name): rows.labels == name for name in np.unique(rows.labels)}
        return {
            name: int(mine.sum())
            for name, mine in of_class.items()
            if len(np.unique(rows.groups[mine])) < self.task.min_groups
        }

    @cached_property
    def rows(self) -> Rows:
        """All samples that take part, held out or not."""
        return self.labelled.take(~np.isin(self.labelled.labels, list(self.left_out)))

    @cached_property
    def holdout(self) -> Holdout:
        """The held-out samples that the gate evaluates."""
        published = dict(self.views.observations.select("observation_id", "group_id").iter_rows())
        patients = [published[str(name)] for name in self.rows.ids]
        return hold_out(self.rows.ids, patients, self.rows.groups, task=self.model)

    @property
    def judged(self) -> Rows:
        """The same with features, for predictions of the champion."""
        return self.rows.take(self.holdout.contains(self.rows.ids))

    @cached_property
    def fit(self) -> Retrained:
        """The model, trained on all but the holdout."""
        seen = (EXPRESSION, representation_name(self.space), BOTH)
        contenders = [Contender(name, head) for head in self.task.heads for name in seen]
        return retrain(self.rows, self.holdout, contenders, beside=self.beside, seed=SEED)

    def tables(self) -> list[NewPart]:
        """Parts of published tables; ``model_folds`` is among them."""
        rows = {
            "diagnosis_predictions": self._predictions(),
            "model_evaluations": self._evaluations(),
            "model_folds": self._folds(),
        }
        return [NewPart(name, frame, (self.model,)) for name, frame in rows.items()]

    def _predictions(self) -> pl.DataFrame:
        """Each sample by a model that did not see its group.

        Training samples are predicted out of fold, by nested cross-validation; held-out ones, in
        the fold after the last, by the final model.
        """
        frames = []
        for unseen in (self.fit.evidence.out_of_fold, self.fit.evidence.holdout):
            probability = unseen.shares.max(axis=1)
            frames.append(
                pl.DataFrame(
                    {
                        "model": self.model,
                        "model_version": self.version,
                        "representation": SELECTED,
                        "collection_id": self.collection,
                        "observation_id": list(unseen.ids),
                        "fold": list(unseen.folds or [N_FOLDS] * len(unseen.ids)),
                        "label": list(unseen.labels),
                        "prediction": unseen.predicted,
                        "probability": probability,
                        "abstained": probability < ABSTAIN_BELOW,
                    }
                )
            )
        return pl.concat(frames).sort("observation_id")

    def _evaluations(self) -> pl.DataFrame:
        """Scores with intervals over whole groups.

        ``selected`` is what nested cross-validation picks, fold by fold; every contender stands
        beside it. Metrics of the final model on the holdout begin with ``holdout_``.
        """
        seen, nested, evidence = self.fit.view.rows, self.fit.nested, self.fit.evidence
        rows: list[dict[str, Any]] = []

        def add(
            name: str, metric: str, score: Interval,
            split: str = f"grouped-stratified-{N_FOLDS}-fold-seed-{SEED}",
        ) -> None:  # fmt: skip
            is_control = name in {EXPRESSION, MAJORITY_CLASS, PERMUTED_LABELS}
            is_control |= name.partition(", ")[0] in self.views.controls  # under any head
            rows.append(self.evaluation_row(name, metric, score, split, is_control=is_control))

        predicted = {
            SELECTED: (seen.labels, evidence.out_of_fold.predicted),
            PERMUTED_LABELS: (nested.permuted_labels, nested.permuted),
            MAJORITY_CLASS: (seen.labels, _majority_of_others(self.fit)),
            **{_name(each): (seen.labels, labels) for each, labels in nested.predictions.items()},
        }
        for name, (truth, labels) in predicted.items():
            scores = classification_scores(truth, labels, seen.groups, METRICS, seed=SEED)
            for metric, score in scores.items():
                add(name, metric, interval_of(score))
        for metric, interval in evidence.scores.items():
            add(SELECTED, f"holdout_{metric}", interval, f"holdout-{self.holdout.sha256[:12]}")
        if evidence.embedding_gain is not None:
            add(SELECTED, "embedding_gain", evidence.embedding_gain)
        return pl.DataFrame(rows, schema_overrides={"ci_low": pl.Float64, "ci_high": pl.Float64})

    def _folds(self) -> pl.DataFrame:
        """Folds of all samples; the holdout is the fold after the last."""
        out, seen = self.fit.evidence.holdout, self.fit.view.rows
        ids = np.concatenate([seen.ids, np.asarray(out.ids, dtype=np.str_)])
        frozen = FrozenFolds(
            Regime.GROUPED,
            ids,
            np.full(len(ids), ANY),
            np.concatenate([seen.groups, np.asarray(out.groups, dtype=np.str_)]),
            np.concatenate([self.fit.nested.folds, np.full(len(out.ids), N_FOLDS)]),
        )
        return frozen.table(self.model, self.collection, holdout=self.holdout)


def _representations(views: ObservationViews, unit: str, space: Space) -> dict[str, Matrix]:
    """Expression alone, every space alone, and expression with the chosen space."""
    expression = expression_features(views.expression, unit)
    both = np.hstack([expression, views.spaces[representation_name(space)]])
    return {EXPRESSION: expression, **views.spaces, BOTH: both}


def _name(contender: Contender) -> str:
    """Name of a contender; the linear head, the usual one, is left out."""
    return contender.representation if contender.head == LINEAR else contender.name


def _majority_of_others(retrained: Retrained) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    labels, folds = retrained.view.rows.labels, retrained.nested.folds
    predicted = np.empty_like(labels)
    for fold in np.unique(folds):
        names, counts = np.unique(labels[folds != fold], return_counts=True)
        predicted[folds == fold] = names[counts.argmax()]
    return predicted
