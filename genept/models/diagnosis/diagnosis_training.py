"""Diagnosis models over collections of the lake: what they read, and the tables they leave.

Published predictions of a sample are by models that never saw its group. For research, not for
diagnosing people. The fitting itself is in `genept.models.diagnosis.diagnosis_retraining`,
promotion in `genept.models.training`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from genept.embeddings import (
    BOTH,
    EXPRESSION,
    CollectionTables,
    ObservationViews,
    read_views,
    representation_name,
)
from genept.models.diagnosis.diagnosis_retraining import Retrained, retrain
from genept.models.diagnosis.diagnosis_tasks import DiagnosisTask
from genept.models.drug_response import DrugTraining
from genept.models.evidence import (
    ABSTAIN_BELOW,
    MAJORITY_CLASS,
    PERMUTED_LABELS,
    label_scores,
    majority,
)
from genept.models.heads import LINEAR, Contender
from genept.models.holdout import FrozenFolds, Holdout, Regime, Rows, hold_out
from genept.models.selection import N_FOLDS
from genept.models.splits import Folds, cohort_duplicates, connected_groups
from genept.models.stored_models import LIBRARIES
from genept.models.training import CODE, SEED, SELECTED, Training, score_rows
from genept.models.user_samples import expression_features
from genept.storage import Origin

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class DiagnosisTraining(Training):
    """One task on one state of the data; its tables are those of predictions and of their scores.

    Parameters
    ----------
    task
        Label and collection.
    """

    task: DiagnosisTask

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.task.model

    @property
    def label(self) -> str:
        """Column of the label that it predicts."""
        return self.task.label

    @property
    def forgotten_on_purpose(self) -> tuple[str, ...]:
        """Cohorts of the champion that the candidate may leave out."""
        return self.task.forgotten_on_purpose

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
        return tuple(others if self.task.full else self.views.controls[:1])

    @cached_property
    def labelled(self) -> Rows:
        """All samples with a label, those of rare classes included."""
        observations = self.views.observations
        labels = observations[self.task.label].to_numpy().astype(np.str_)
        space, spaces = representation_name(self.space), self.views.spaces
        expression = expression_features(self.views.expression, self.unit)
        features = {EXPRESSION: expression, BOTH: np.hstack([expression, spaces[space]])}
        features |= {name: spaces[name] for name in (space, *self.beside)}
        cohorts = np.full(len(labels), self.task.collection)
        if self.task.cohort is not None:
            cohorts = observations[self.task.cohort].fill_null("unknown").to_numpy().astype(np.str_)
        ids = observations["observation_id"].to_numpy().astype(np.str_)
        patients = observations["group_id"].to_list()
        duplicates, threshold = cohort_duplicates(expression, patients)
        groups = connected_groups(patients, duplicates=duplicates)
        return Rows(ids, groups, cohorts, labels, features, threshold)

    @cached_property
    def left_out(self) -> dict[str, int]:
        """Number of samples of classes that are too rare, by class."""
        rows = pl.DataFrame({"label": self.labelled.labels, "group": self.labelled.groups})
        classes = rows.group_by("label").agg(pl.len(), groups=pl.col("group").n_unique())
        rare = classes.filter(pl.col("groups") < self.task.min_groups).sort("label")
        return dict(rare.select("label", "len").iter_rows())

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
        """The held-out samples that the gate evaluates, with features."""
        return self.rows.take(self.holdout.contains(self.rows.ids))

    @cached_property
    def fit(self) -> Retrained:
        """The model, trained on all but the holdout."""
        seen = (EXPRESSION, representation_name(self.space), BOTH)
        contenders = [Contender(name, head) for head in self.task.heads for name in seen]
        return retrain(self.rows, self.holdout, contenders, beside=self.beside, seed=SEED)

    def tables(self) -> dict[str, pl.DataFrame]:
        """Rows of published tables by name; ``model_folds`` is among them."""
        return {
            "diagnosis_predictions": self._predictions(),
            "model_evaluations": self._evaluations(),
            "model_folds": self._folds(),
        }

    def _predictions(self) -> pl.DataFrame:
        """Each sample by a model that did not see its group.

        Training samples are predicted out of fold, by nested cross-validation; held-out ones, in
        the fold after the last, by the final model.
        """
        unseen = self.fit.evidence.unseen
        return pl.DataFrame(
            {
                "model": self.model,
                "model_version": self.version,
                "representation": SELECTED,
                "collection_id": self.collection,
                "observation_id": unseen.ids,
                "fold": self._fold_of_each,
                "label": unseen.labels,
                "prediction": unseen.predicted,
                "probability": unseen.confidence,
                "abstained": unseen.confidence < ABSTAIN_BELOW,
            }
        ).sort("observation_id")

    @property
    def _fold_of_each(self) -> Folds:
        """Folds of the training samples, then of the held-out ones: the fold after the last."""
        return np.append(self.fit.nested.folds, [N_FOLDS] * len(self.fit.evidence.holdout.ids))

    def _evaluations(self) -> pl.DataFrame:
        """Scores with intervals over whole groups.

        ``selected`` is what nested cross-validation picks, fold by fold; every contender stands
        beside it. Metrics of the final model on the holdout begin with ``holdout_``.
        """
        seen, nested, evidence = self.fit.view.rows, self.fit.nested, self.fit.evidence
        predicted = {
            SELECTED: (seen.labels, evidence.out_of_fold.predicted),
            PERMUTED_LABELS: (nested.permuted_labels, nested.permuted),
            MAJORITY_CLASS: (seen.labels, _majority_of_others(self.fit)),
            **{_name(each): (seen.labels, labels) for each, labels in nested.predictions.items()},
        }
        controls = {EXPRESSION, MAJORITY_CLASS, PERMUTED_LABELS}
        rows: list[dict[str, Any]] = []
        for name, (truth, labels) in predicted.items():
            scores = label_scores(truth, labels, seen.groups, SEED)
            # Under any head.
            is_control = name in controls or name.partition(", ")[0] in self.views.controls
            rows += score_rows(scores, name, is_control=is_control)
        if evidence.embedding_gain is not None:
            gain = {"embedding_gain": evidence.embedding_gain}
            rows += score_rows(gain, SELECTED, is_control=False)
        for head, difference in evidence.both_less_expression.items():
            name = _name(Contender(BOTH, head))
            rows += score_rows({"both_minus_expression": difference}, name, is_control=False)
        held_out = score_rows(evidence.scores, SELECTED, is_control=False, prefix="holdout_")
        splits = {
            f"grouped-stratified-{N_FOLDS}-fold-seed-{SEED}": rows,
            f"holdout-{self.holdout.sha256[:12]}": held_out,
        }
        return self.evaluations(splits)

    def _folds(self) -> pl.DataFrame:
        """Folds of all samples."""
        unseen = self.fit.evidence.unseen
        ids, groups = (np.asarray(names, dtype=np.str_) for names in (unseen.ids, unseen.groups))
        frozen = FrozenFolds.of_observations(Regime.GROUPED, ids, groups, self._fold_of_each)
        return frozen.table(self.model, self.collection, holdout=self.holdout)


def _name(contender: Contender) -> str:
    """Name of a contender; the linear head, the usual one, is left out."""
    return contender.representation if contender.head == LINEAR else contender.name


def _majority_of_others(retrained: Retrained) -> NDArray[np.str_]:
    labels, folds = retrained.view.rows.labels, retrained.nested.folds
    predicted = np.empty_like(labels)
    for fold in np.unique(folds):
        predicted[folds == fold] = majority(labels[folds != fold])
    return predicted


def bulk_trainings(
    of: CollectionTables, tasks_of: Callable[[str], Sequence[DiagnosisTask]]
) -> tuple[dict[str, Training], dict[str, str]]:
    """What is to be trained on bulk collections: diagnosis models, and one model a drug screen.

    Parameters
    ----------
    of
        The collections and their tables; the models read the first of its spaces.
    tasks_of
        Diagnosis tasks of a collection, by its id.

    Returns
    -------
    trainings : dict
        Trainings by name of the model.
    impossible : dict
        Why a model cannot be trained, by its name.
    """
    trainings: dict[str, Training] = {}
    impossible: dict[str, str] = {}
    for collection in of.ingested("bulk"):
        parts = of.parts(collection)
        caveats = (collection.caveat,) if collection.caveat else ()
        bulk = (of.lake, collection.id, collection.unit, of.spaces[0], parts, caveats)
        observations = of.lake.read(parts.observations)
        for task in tasks_of(collection.id):
            if reason := task.impossible(observations):
                impossible[task.model] = reason
            else:
                trainings[task.model] = DiagnosisTraining(*bulk, task)
        for responses in of.tables["drug_responses"].matching(collection.id):
            drugs = DrugTraining(*bulk, responses)
            trainings[drugs.model] = drugs
    return trainings, impossible
