"""One retraining of a drug-response model in memory: hold out lines, choose, fit, measure.

The gate judges classes: whether a line is more sensitive to a drug than the drug's mean over the
training lines, which that mean itself cannot predict. Reading from the lake and storing is in
`genept.models.drug_response.drug_training`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load
from sklearn.pipeline import Pipeline

from genept.benchmarks.metrics import classification_scores
from genept.embeddings import BOTH, EXPRESSION
from genept.models.diagnosis import (
    METRICS,
    N_PROBES,
    STEPS,
    Contender,
    DiagnosisModel,
    calibrated,
    fit_calibration,
    interval_of,
    predictions_of,
    probe_bytes,
    probe_difference,
)
from genept.models.domain import fit_domain
from genept.models.drug_response.evaluation import response_scores
from genept.models.drug_response.pipeline import (
    CLASSES,
    SENSITIVE,
    Mask,
    fit_pipeline,
    pair_shares,
)
from genept.models.drug_response.predictors import (
    DRUG_MEAN,
    NAIVE,
    TISSUE_DRUG_MEAN,
    Floats,
    out_of_fold,
)
from genept.models.drug_response.screen_rows import OutOfFold, ScreenRows, most_probable
from genept.models.evidence import Interval, ModelEvidence, paired_difference
from genept.models.splits import (
    Folds,
    Holdout,
    Rows,
    cut_duplicates,
    grouped_folds,
    held_apart,
    hold_out,
    planted_labels,
)
from genept.models.stored_models import dump_pipeline, load_pipeline

HEAD: Final = "ridge within drug"
N_FOLDS: Final = 5
Labels = npt.NDArray[np.str_]


@dataclass(frozen=True)
class DrugRetraining:
    """A retraining; each result is computed once, when it is first used.

    Parameters
    ----------
    representations
        To choose among by leave-one-out error on the training lines; the simplest first.
    model
        Name, which decides with the published lines what is held out.
    """

    screen: ScreenRows
    representations: Sequence[str]
    model: str
    seed: int

    @cached_property
    def contenders(self) -> list[Contender]:
        """The representations to choose among, under the one head."""
        return [Contender(name, HEAD) for name in self.representations]

    @cached_property
    def groups(self) -> Labels:
        """Connected group of each pair's line."""
        groups: Labels = self.screen.groups[self.screen.pairs.line]
        return groups

    @cached_property
    def out(self) -> Mask:
        """Which pairs are held out."""
        members = np.asarray(self.screen.members, dtype=np.str_)[self.screen.pairs.line]
        holdout = hold_out(self.screen.pair_ids, members, self.groups, task=self.model)
        return holdout.contains(self.screen.pair_ids)

    @cached_property
    def rows(self) -> Rows:
        """All pairs with their labels, and no features."""
        tissues = self.screen.tissues[self.screen.pairs.line]
        labels = self.screen.sensitivity(~self.out)
        return Rows(self.screen.pair_ids, self.groups, tissues, labels, {})

    @cached_property
    def _planted(self) -> tuple[ScreenRows, Labels, Mask]:
        """The screen for training: held-out responses are missing, but for up to 40 sentinels.

        Also the labels with those of the sentinels random, and which pairs are sentinels.
        """
        holdout = Holdout.of(self.screen.pair_ids[self.out])
        planted, sentinel = planted_labels(self.rows, holdout, seed=self.seed)
        held_apart(planted, holdout)
        screen = self.screen.with_sentinels(planted.labels, sentinel, ~self.out)
        value = np.where(self.out & ~sentinel, np.nan, screen.pairs.value)
        blind = replace(screen, pairs=replace(screen.pairs, value=value))
        return blind, planted.labels, sentinel

    @cached_property
    def line_folds(self) -> Folds:
        """Fold of each line; the holdout, and lines without responses, are after the last."""
        lines = np.unique(self.screen.pairs.line[~self.out])
        folds = np.full(len(self.screen.ids), N_FOLDS, dtype=np.int64)
        folds[lines] = grouped_folds(self.screen.groups[lines], None, N_FOLDS, self.seed)
        return folds

    def _best(
        self, screen: ScreenRows, contenders: Sequence[Contender], train: Mask
    ) -> tuple[Contender, Pipeline]:
        """The contender with the least leave-one-out error on the training pairs, and its fit."""
        fits = []
        for contender in contenders:
            features = screen.features[contender.representation]
            pipeline = fit_pipeline(features, screen.drugs, screen.pairs, train, seed=self.seed)
            fits.append((contender, pipeline))
        return min(fits, key=lambda fit: float(fit[1].named_steps[STEPS[2]].error_[0]))

    def _out_of_fold(self, screen: ScreenRows, contenders: Sequence[Contender]) -> OutOfFold:
        """Predict every fold by a model of the others, its representation chosen on these."""
        n, pair_folds = len(self.out), self.line_folds[screen.pairs.line]
        predictions = OutOfFold.empty(n)
        for fold in range(N_FOLDS):
            train, test = ~self.out & (pair_folds != fold), pair_folds == fold
            chosen, pipeline = self._best(screen, contenders, train)
            features = screen.features[chosen.representation]
            predictions.fill(screen, pipeline, features, test)
        return predictions

    @cached_property
    def alone(self) -> dict[Contender, OutOfFold]:
        """Out-of-fold predictions of each contender by itself."""
        return {each: self._out_of_fold(self._planted[0], [each]) for each in self.contenders}

    @cached_property
    def final(self) -> tuple[Contender, Pipeline]:
        """The contender that is chosen on all training lines, and its fit."""
        return self._best(self._planted[0], self.contenders, ~self.out)

    @cached_property
    def unseen(self) -> OutOfFold:
        """Training pairs out of fold, the holdout by the final model."""
        nested = self._out_of_fold(self._planted[0], self.contenders)
        chosen, pipeline = self.final
        nested.fill(self.screen, pipeline, self.screen.features[chosen.representation], self.out)
        return nested

    @cached_property
    def fitted(self) -> DiagnosisModel:
        """The final model, its probabilities calibrated by those out of fold."""
        truth = np.searchsorted(CLASSES, self.rows.labels)
        calibration = fit_calibration(self.unseen.shares[~self.out], truth[~self.out])
        return DiagnosisModel(self.final[0], self.final[1], CLASSES, calibration)

    @cached_property
    def judged(self) -> Rows:
        """The held-out pairs that the gate evaluates, with features in every representation."""
        where = np.flatnonzero(self.out & self.screen.judged)
        features = {name: self.screen.inputs(name, where) for name in self.representations}
        return replace(self.rows.take(where), features=features)

    @cached_property
    def pipeline(self) -> bytes:
        """The final model as a file."""
        return dump_pipeline(self.final[1])

    @cached_property
    def probe(self) -> bytes:
        """Some training pairs, with the predictions of the final model."""
        where = np.flatnonzero(~self.out & self.screen.judged)[:N_PROBES]
        return probe_bytes(self.fitted, self.screen.inputs(self.final[0].representation, where))

    @cached_property
    def domain(self) -> bytes:
        """The domain of lines that the model may predict."""
        features = self.screen.features[self.final[0].representation]
        seen, out = (np.unique(self.screen.pairs.line[of]) for of in (~self.out, self.out))
        return fit_domain(features[seen], features[out], seed=self.seed).body()

    @cached_property
    def evidence(self) -> ModelEvidence:
        """What the gate evaluates."""
        seen, labels = ~self.out & self.screen.judged, self.rows.labels
        where, judged = self.out & self.screen.judged, self.judged
        _, planted, sentinel = self._planted
        calibration, (chosen, _) = self.fitted.calibration, self.final
        refitted = self._best(self._planted[0], [chosen], ~self.out)[1]
        sha256 = hashlib.sha256(self.pipeline).hexdigest()
        stored = load_pipeline(self.pipeline, sha256, where="the model just stored")
        probe = load(self.probe)
        permuted_screen = self._planted[0].permuted(~self.out, seed=self.seed)
        permuted = self._out_of_fold(permuted_screen, self.contenders[:1])
        return ModelEvidence(
            out_of_fold=predictions_of(
                self.rows.take(seen),
                CLASSES,
                calibrated(self.unseen.shares[seen], calibration),
                self.line_folds[self.screen.pairs.line[seen]],
            ),
            holdout=predictions_of(judged, CLASSES, self.fitted.probabilities(judged.features)),
            baselines=self._baselines(permuted_screen, where),
            n_features_checked=sum(
                self.screen.features[name].shape[1] for name in self.representations
            ),
            label_like_features=self.screen.response_like(self.representations, ~self.out),
            cut_duplicates=self._cut(),
            sentinels_right=int((self.unseen.predicted == planted)[sentinel].sum()),
            n_sentinels=int(sentinel.sum()),
            permuted=self._scores(labels, permuted.predicted, seen)[METRICS[0]],
            refit_difference=self._differs(refitted, probe),
            reload_difference=self._differs(stored, probe),
            embedding_gain=self._gain(seen),
            scores=self._scores(labels, self.unseen.predicted, where)
            | self.response_scores(self.out, self.naive),
            contenders={
                contender.name: self._scores(labels, result.predicted, seen)[METRICS[0]]
                for contender, result in self.alone.items()
            },
        )

    def _differs(self, pipeline: Pipeline, probe: dict[str, npt.NDArray[np.float64]]) -> float:
        other = DiagnosisModel(self.final[0], pipeline, CLASSES, self.fitted.calibration)
        return probe_difference(other, probe)

    def _baselines(self, permuted: ScreenRows, where: Mask) -> dict[str, tuple[str, ...]]:
        pairs, train = self.screen.pairs, ~self.out
        means = {name: NAIVE[name](pairs, train) for name in (DRUG_MEAN, TISSUE_DRUG_MEAN)}
        by_tissue = np.where(means[TISSUE_DRUG_MEAN] < means[DRUG_MEAN], SENSITIVE, CLASSES[0])
        chosen, pipeline = self._best(permuted, self.contenders[:1], train)
        features = permuted.features[chosen.representation]
        shares = pair_shares(pipeline, features, pairs.line, self.screen.codes)
        names, counts = np.unique(self.rows.labels[train], return_counts=True)
        majority = np.full(len(train), names[counts.argmax()])
        return {
            "majority-class": tuple(majority[where].tolist()),
            TISSUE_DRUG_MEAN: tuple(by_tissue[where].tolist()),
            "permuted-labels": tuple(most_probable(shares)[where].tolist()),
        }

    def _cut(self) -> tuple[str, ...]:
        screen, lines = self.screen, np.unique(self.screen.pairs.line)
        profiles = screen.features[EXPRESSION][lines]
        return cut_duplicates(screen.ids[lines], profiles, self.line_folds[lines])

    def _scores(self, truth: Labels, predicted: Labels, rows: Mask) -> dict[str, Interval]:
        scores = classification_scores(
            truth[rows], predicted[rows], self.groups[rows], METRICS, seed=self.seed
        )
        return {name: interval_of(score) for name, score in scores.items()}

    def response_scores(self, rows: Mask, naive: Floats) -> dict[str, Interval]:
        """Scores of the predicted responses of these pairs, beyond `naive`, in ln(µM)."""
        pairs, unseen = self.screen.pairs.take(rows), self.unseen
        covered = unseen.covers(self.screen.pairs.value)[rows]
        scores = response_scores(
            pairs, unseen.prediction[rows], naive[rows], covered, self.groups[rows], seed=self.seed
        )
        return {name: interval_of(score) for name, score in scores.items()}

    @cached_property
    def naive(self) -> Floats:
        """Each drug's mean over the lines that the model of the pair was trained on."""
        return out_of_fold(DRUG_MEAN, self.screen.pairs, self.folds, ~self.out)

    @property
    def folds(self) -> Folds:
        """Fold of each pair; the holdout is the fold after the last."""
        folds: Folds = self.line_folds[self.screen.pairs.line]
        return folds

    def _gain(self, seen: Mask) -> Interval | None:
        predicted = {each.representation: result.predicted for each, result in self.alone.items()}
        if not {BOTH, EXPRESSION} <= set(predicted):
            return None
        return paired_difference(
            self.rows.labels[seen],
            predicted[BOTH][seen],
            predicted[EXPRESSION][seen],
            self.groups[seen].tolist(),
            metric="balanced_accuracy",
            seed=self.seed,
        )
