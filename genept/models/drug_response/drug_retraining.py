"""One retraining of a drug-response model in memory: hold out lines, choose, fit, measure.

The gate judges classes: whether a line is more sensitive to a drug than the drug's mean over the
training lines, which that mean itself cannot predict. Reading from the lake and storing is in
`genept.models.drug_response.drug_training`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from sklearn.pipeline import Pipeline

from genept.embeddings import BOTH, EXPRESSION
from genept.models.confidence import calibrated, fit_calibration, fit_domain
from genept.models.diagnosis import N_PROBES, model_files, predictions_of
from genept.models.drug_response.evaluation import N_FOLDS, response_scores
from genept.models.drug_response.pipeline import (
    CLASSES,
    RESISTANT,
    SENSITIVE,
    Mask,
    Matrix,
    fit_pipeline,
    predict_pairs,
)
from genept.models.drug_response.predictors import (
    DRUG_MEAN,
    NAIVE,
    TISSUE_DRUG_MEAN,
    Floats,
    out_of_fold,
)
from genept.models.drug_response.screen_rows import OutOfFold, ScreenRows
from genept.models.evidence import (
    MAJORITY_CLASS,
    METRICS,
    PERMUTED_LABELS,
    Interval,
    Labels,
    ModelEvidence,
    compared,
    label_scores,
    likeliest,
    majority,
    paired_difference,
)
from genept.models.heads import STEPS, Contender, DiagnosisModel
from genept.models.holdout import Holdout, Rows, held_apart, hold_out, planted_labels
from genept.models.splits import Folds, cut_duplicates, grouped_folds
from genept.models.stored_models import ModelFiles

HEAD: Final = "ridge within drug"


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
        return self.screen.groups[self.screen.pairs.line]

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
        below = self.screen.pairs.value < NAIVE[DRUG_MEAN](self.screen.pairs, ~self.out)
        labels = np.where(below, SENSITIVE, RESISTANT)
        return Rows(self.screen.pair_ids, self.groups, tissues, labels, {})

    @cached_property
    def _planted(self) -> tuple[ScreenRows, Labels, Mask]:
        """The screen for training: held-out responses are missing, but for up to 40 sentinels.

        Also the labels with those of the sentinels random, and which pairs are sentinels.
        """
        holdout = Holdout.of(self.screen.pair_ids[self.out])
        planted, sentinel = planted_labels(self.rows, holdout, seed=self.seed)
        held_apart(planted, holdout)
        blind = self.screen.with_sentinels(planted.labels, sentinel, ~self.out)
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
        read = screen.drugs, screen.pairs, train
        fits = [
            (each, fit_pipeline(screen.features[each.representation], *read, seed=self.seed))
            for each in contenders
        ]
        return min(fits, key=lambda fit: float(fit[1].named_steps[STEPS[2]].error_[0]))

    def _out_of_fold(self, screen: ScreenRows, contenders: Sequence[Contender]) -> OutOfFold:
        """Predict every fold by a model of the others, its representation chosen on these."""

        def fit(_: int, train: Mask) -> tuple[Pipeline, Matrix]:
            chosen, pipeline = self._best(screen, contenders, train)
            return pipeline, screen.features[chosen.representation]

        return OutOfFold.of(screen, self.folds, fit, ~self.out)

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

    @property
    def holdout(self) -> Holdout:
        """The pairs that the gate evaluates."""
        return Holdout.of(self.judged.ids)

    @cached_property
    def files(self) -> ModelFiles:
        """The files of the final model; its probe set is of some training pairs."""
        chosen, seen = self.final[0], ~self.out & self.screen.judged
        again = self._best(self._planted[0], [chosen], ~self.out)[1]
        probed = self.screen.inputs(chosen.representation, np.flatnonzero(seen)[:N_PROBES])
        features = self.screen.features[chosen.representation]
        trained, unseen = (np.unique(self.screen.pairs.line[of]) for of in (~self.out, self.out))
        domain = fit_domain(features[trained], features[unseen], seed=self.seed)
        return model_files(self.fitted, again, probed, domain)

    @cached_property
    def evidence(self) -> ModelEvidence:
        """What the gate evaluates."""
        screen, labels = self.screen, self.rows.labels
        seen = ~self.out & screen.judged
        where, judged = self.out & screen.judged, self.judged
        _, planted, sentinel = self._planted
        permuted_screen = self._planted[0].permuted(~self.out, seed=self.seed)
        permuted = self._out_of_fold(permuted_screen, self.contenders[:1])
        lines = np.unique(screen.pairs.line)
        return ModelEvidence(
            out_of_fold=predictions_of(
                self.rows.take(seen),
                CLASSES,
                calibrated(self.unseen.shares[seen], self.fitted.calibration),
                self.folds[seen],
            ),
            holdout=predictions_of(judged, CLASSES, self.fitted.probabilities(judged.features)),
            baselines=self._baselines(permuted_screen, where),
            n_features_checked=sum(screen.features[name].shape[1] for name in self.representations),
            label_like_features=screen.response_like(self.representations, ~self.out),
            cut_duplicates=cut_duplicates(
                screen.ids[lines],
                screen.features[EXPRESSION][lines],
                self.line_folds[lines],
                screen.duplicate_from,
            ),
            sentinels_right=int((self.unseen.predicted == planted)[sentinel].sum()),
            n_sentinels=int(sentinel.sum()),
            permuted=self._compared(permuted, seen),
            refit_difference=self.files.refit_difference,
            reload_difference=self.files.reload_difference,
            embedding_gain=self._gain(seen),
            plain_name=Contender(EXPRESSION, HEAD).name,
            plain=self._plain(seen, where),
            scores=label_scores(
                labels[where], self.unseen.predicted[where], self.groups[where], self.seed
            )
            | self.response_scores(self.out),
            contenders={
                contender.name: self._compared(result, seen)
                for contender, result in self.alone.items()
            },
        )

    def _compared(self, result: OutOfFold, rows: Mask) -> Interval:
        labels, groups = self.rows.labels[rows], self.groups[rows]
        return compared(labels, result.predicted[rows], groups, self.seed)

    def _baselines(self, permuted: ScreenRows, where: Mask) -> dict[str, tuple[str, ...]]:
        pairs, train = self.screen.pairs, ~self.out
        means = {name: NAIVE[name](pairs, train) for name in (DRUG_MEAN, TISSUE_DRUG_MEAN)}
        by_tissue = np.where(means[TISSUE_DRUG_MEAN] < means[DRUG_MEAN], SENSITIVE, RESISTANT)
        chosen, pipeline = self._best(permuted, self.contenders[:1], train)
        features = permuted.features[chosen.representation]
        *_, shares = predict_pairs(pipeline, features, pairs.line, self.screen.codes)
        return {
            MAJORITY_CLASS: (majority(self.rows.labels[train]),) * int(where.sum()),
            TISSUE_DRUG_MEAN: tuple(by_tissue[where].tolist()),
            PERMUTED_LABELS: tuple(likeliest(CLASSES, shares)[where].tolist()),
        }

    def response_scores(self, rows: Mask) -> dict[str, Interval]:
        """Scores of the predicted responses of these pairs, beyond `naive`, in ln(µM)."""
        pairs, unseen = self.screen.pairs, self.unseen
        predicted, naive = unseen.prediction[rows], self.naive[rows]
        covered, groups = unseen.covers(pairs.value)[rows], self.groups[rows]
        return response_scores(pairs.take(rows), predicted, naive, covered, groups, seed=self.seed)

    @cached_property
    def naive(self) -> Floats:
        """Each drug's mean over the lines that the model of the pair was trained on."""
        return out_of_fold(DRUG_MEAN, self.screen.pairs, self.folds, ~self.out)

    @property
    def folds(self) -> Folds:
        """Fold of each pair; the holdout is the fold after the last."""
        return self.line_folds[self.screen.pairs.line]

    def _plain(self, seen: Mask, where: Mask) -> tuple[str, ...]:
        """The ridge on expression alone: training pairs out of fold, then the holdout."""
        plain = Contender(EXPRESSION, HEAD)
        if plain not in self.alone:
            return ()
        if self.final[0] == plain:
            held_out = self.unseen.predicted[where]
        else:
            _, pipeline = self._best(self._planted[0], [plain], ~self.out)
            of_all = self._out_of_fold(self._planted[0], [plain])
            of_all.fill(self.screen, pipeline, self.screen.features[EXPRESSION], self.out)
            held_out = of_all.predicted[where]
        out_of_fold = self.alone[plain].predicted[seen]
        return (*out_of_fold.tolist(), *held_out.tolist())

    def _gain(self, seen: Mask) -> Interval | None:
        predicted = {each.representation: result.predicted for each, result in self.alone.items()}
        if not {BOTH, EXPRESSION} <= set(predicted):
            return None
        both, alone = (predicted[name][seen] for name in (BOTH, EXPRESSION))
        labels, groups = self.rows.labels[seen], self.groups[seen]
        return paired_difference(labels, both, alone, groups, metric=METRICS[0], seed=self.seed)
