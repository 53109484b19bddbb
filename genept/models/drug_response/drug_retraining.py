"""One retraining of a drug-response model: hold out lines, choose, fit, measure for the gate.

The gate judges classes. What it is asked here is whether a line is more sensitive to a drug than
the drug's mean over the training lines says: a question that the drug's mean cannot answer.
Storing it is `genept.models.drug_response.drug_training`'s.
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

from genept.benchmarks.metrics.scores import classification_scores
from genept.embeddings.representations import BOTH, EXPRESSION
from genept.models.diagnosis.heads import (
    STEPS,
    Contender,
    DiagnosisModel,
    fit_tempering,
    probe_bytes,
    probe_difference,
    tempered,
)
from genept.models.diagnosis.retraining import METRICS, N_PROBES, interval_of, predictions_of
from genept.models.domain import fit_domain
from genept.models.drug_response.pipeline import CLASSES, SENSITIVE, fit_pipeline, pair_shares
from genept.models.drug_response.predictors import DRUG_MEAN, NAIVE, TISSUE_DRUG_MEAN, Floats
from genept.models.drug_response.regimes import response_scores
from genept.models.drug_response.screen_rows import Mask, OutOfFold, ScreenRows, likeliest
from genept.models.evidence import Evidence, Interval, paired_difference
from genept.models.splits.folds import Folds, grouped_folds
from genept.models.splits.groups import cut_duplicates, response_like_features
from genept.models.splits.holdout import Holdout, Rows, held_apart, hold_out, planted_labels
from genept.models.stored_models import dump_pipeline, load_pipeline

HEAD: Final = "ridge within drug"
N_FOLDS: Final = 5
Labels = npt.NDArray[np.str_]


@dataclass(frozen=True)
class DrugRetraining:
    """A retraining; what of it is asked for is computed once.

    Parameters
    ----------
    representations
        To choose among by leave-one-out error on the training lines; the simplest first.
    model
        Name: who is held out follows from it and from the published lines.
    """

    screen: ScreenRows
    representations: Sequence[str]
    model: str
    seed: int

    @cached_property
    def contenders(self) -> list[Contender]:
        """What may be chosen."""
        return [Contender(name, HEAD) for name in self.representations]

    @cached_property
    def groups(self) -> Labels:
        """Connected group of each pair's line."""
        found: Labels = self.screen.groups[self.screen.pairs.line]
        return found

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
        """The screen as training has it: no held-out response, but up to 40 with random labels."""
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
        """The contender of the least leave-one-out error on the training pairs."""
        fits = []
        for one in contenders:
            features = screen.features[one.representation]
            fits.append(
                (one, fit_pipeline(features, screen.drugs, screen.pairs, train, seed=self.seed))
            )
        return min(fits, key=lambda fit: float(fit[1].named_steps[STEPS[2]].error_[0]))

    def _out_of_fold(self, screen: ScreenRows, contenders: Sequence[Contender]) -> OutOfFold:
        """Every fold by a model of the others, its representation chosen on the others alone."""
        n, pair_folds = len(self.out), self.line_folds[screen.pairs.line]
        found = OutOfFold.nothing(n)
        for fold in range(N_FOLDS):
            train, test = ~self.out & (pair_folds != fold), pair_folds == fold
            chosen, pipeline = self._best(screen, contenders, train)
            found.fill(screen, pipeline, chosen.representation, test)
        return found

    @cached_property
    def alone(self) -> dict[Contender, OutOfFold]:
        """Each contender by itself."""
        return {one: self._out_of_fold(self._planted[0], [one]) for one in self.contenders}

    @cached_property
    def final(self) -> tuple[Contender, Pipeline]:
        """The contender that is chosen on all training lines, and its fit."""
        return self._best(self._planted[0], self.contenders, ~self.out)

    @cached_property
    def unseen(self) -> OutOfFold:
        """Training pairs out of fold, the holdout by the final model."""
        nested = self._out_of_fold(self._planted[0], self.contenders)
        nested.fill(self.screen, self.final[1], self.final[0].representation, self.out)
        return nested

    @cached_property
    def fitted(self) -> DiagnosisModel:
        """The final model, its probabilities tempered by those out of fold."""
        truth = np.searchsorted(CLASSES, self.rows.labels)
        tempering = fit_tempering(self.unseen.shares[~self.out], truth[~self.out])
        return DiagnosisModel(self.final[0], self.final[1], CLASSES, tempering)

    @cached_property
    def judged(self) -> Rows:
        """The held-out pairs that the gate looks at, with features in every representation."""
        where = np.flatnonzero(self.out & self.screen.asked)
        found = self.rows.take(where)
        shown = {name: self.screen.shown(name, where) for name in self.representations}
        return Rows(found.ids, found.groups, found.cohorts, found.labels, shown)

    @cached_property
    def pipeline(self) -> bytes:
        """The final model as a file."""
        return dump_pipeline(self.final[1])

    @cached_property
    def probe(self) -> bytes:
        """Some training pairs, and what the final model says of them."""
        where = np.flatnonzero(~self.out & self.screen.asked)[:N_PROBES]
        return probe_bytes(self.fitted, self.screen.shown(self.final[0].representation, where))

    @cached_property
    def domain(self) -> bytes:
        """What the lines look like that the model may judge."""
        features = self.screen.features[self.final[0].representation]
        seen, out = (np.unique(self.screen.pairs.line[of]) for of in (~self.out, self.out))
        return fit_domain(features[seen], features[out], seed=self.seed).body()

    @cached_property
    def evidence(self) -> Evidence:
        """What the gate asks."""
        seen, labels = ~self.out & self.screen.asked, self.rows.labels
        where, judged = self.out & self.screen.asked, self.judged
        _, planted, sentinel = self._planted
        tempering, (chosen, _) = self.fitted.tempering, self.final
        again = self._best(self._planted[0], [chosen], ~self.out)[1]
        where_from = "the model just stored"
        stored = load_pipeline(
            self.pipeline, hashlib.sha256(self.pipeline).hexdigest(), where=where_from
        )
        probe = load(self.probe)
        disorder = self._planted[0].in_disorder(~self.out, seed=self.seed)
        permuted = self._out_of_fold(disorder, self.contenders[:1])
        return Evidence(
            out_of_fold=predictions_of(
                self.rows.take(seen),
                CLASSES,
                tempered(self.unseen.shares[seen], tempering),
                self.line_folds[self.screen.pairs.line[seen]],
            ),
            holdout=predictions_of(judged, CLASSES, self.fitted.probabilities(judged.features)),
            baselines=self._baselines(disorder, where),
            n_features_checked=sum(
                self.screen.features[name].shape[1] for name in self.representations
            ),
            label_like_features=self._response_like(),
            cut_duplicates=self._cut(),
            sentinels_right=int((self.unseen.said == planted)[sentinel].sum()),
            n_sentinels=int(sentinel.sum()),
            permuted=self._scores(labels, permuted.said, seen)[METRICS[0]],
            refit_difference=self._differs(again, probe),
            reload_difference=self._differs(stored, probe),
            embedding_gain=self._gain(seen),
            scores=self._scores(labels, self.unseen.said, where)
            | self.response_scores(self.out, self.naive),
            contenders={
                one.name: self._scores(labels, found.said, seen)[METRICS[0]]
                for one, found in self.alone.items()
            },
        )

    def _differs(self, pipeline: Pipeline, probe: dict[str, npt.NDArray[np.float64]]) -> float:
        other = DiagnosisModel(self.final[0], pipeline, CLASSES, self.fitted.tempering)
        return probe_difference(other, probe)

    def _baselines(self, disorder: ScreenRows, where: Mask) -> dict[str, tuple[str, ...]]:
        pairs, train = self.screen.pairs, ~self.out
        means = {name: NAIVE[name](pairs, train) for name in (DRUG_MEAN, TISSUE_DRUG_MEAN)}
        by_tissue = np.where(means[TISSUE_DRUG_MEAN] < means[DRUG_MEAN], SENSITIVE, CLASSES[0])
        chosen, taught_nothing = self._best(disorder, self.contenders[:1], train)
        features = disorder.features[chosen.representation]
        nothing = likeliest(pair_shares(taught_nothing, features, pairs.line, self.screen.codes))
        names, counts = np.unique(self.rows.labels[train], return_counts=True)
        majority = np.full(len(train), names[counts.argmax()])
        return {
            "majority-class": tuple(majority[where].tolist()),
            TISSUE_DRUG_MEAN: tuple(by_tissue[where].tolist()),
            "permuted-labels": tuple(nothing[where].tolist()),
        }

    def _response_like(self) -> tuple[str, ...]:
        """Features that are the response to some drug over the training lines."""
        pairs, train = (
            self.screen.pairs.take(~self.out),
            np.unique(self.screen.pairs.line[~self.out]),
        )
        table = np.full((len(train), len(self.screen.drugs)), np.nan)
        mean = NAIVE[DRUG_MEAN](pairs, np.ones(len(pairs.value), dtype=np.bool_))
        table[np.searchsorted(train, pairs.line), pairs.drug] = pairs.value - mean
        return tuple(
            f"{name} #{column}"
            for name in self.representations
            for column in response_like_features(self.screen.features[name][train], table)
        )

    def _cut(self) -> tuple[str, ...]:
        screen, lines = self.screen, np.unique(self.screen.pairs.line)
        profiles = screen.features[EXPRESSION][lines]
        return cut_duplicates(screen.ids[lines], profiles, self.line_folds[lines])

    def _scores(self, truth: Labels, said: Labels, rows: Mask) -> dict[str, Interval]:
        found = classification_scores(
            truth[rows], said[rows], self.groups[rows], METRICS, seed=self.seed
        )
        return {name: interval_of(score) for name, score in found.items()}

    def response_scores(self, rows: Mask, naive: Floats) -> dict[str, Interval]:
        """How good the predicted responses of these pairs are, in ln(µM), beyond `naive`."""
        pairs, found = self.screen.pairs.take(rows), self.unseen
        predicted = found.prediction[rows]
        inside = np.abs(pairs.value - predicted) <= found.reach[rows]
        scored = response_scores(
            pairs, predicted, naive[rows], inside, self.groups[rows], seed=self.seed
        )
        n = int(rows.sum())
        return {
            name: Interval(value=value, low=low, high=high, n=n)
            for name, (value, low, high) in scored.items()
        }

    @cached_property
    def naive(self) -> Floats:
        """Each drug's mean over the lines that the model of the pair saw."""
        pairs, folds = self.screen.pairs, self.folds
        found = NAIVE[DRUG_MEAN](pairs, ~self.out)
        for fold in range(N_FOLDS):
            others = ~self.out & (folds != fold)
            found[folds == fold] = NAIVE[DRUG_MEAN](pairs, others)[folds == fold]
        return found

    @property
    def folds(self) -> Folds:
        """Fold of each pair; the holdout is the fold after the last."""
        found: Folds = self.line_folds[self.screen.pairs.line]
        return found

    def _gain(self, seen: Mask) -> Interval | None:
        found = {one.representation: each.said for one, each in self.alone.items()}
        if not {BOTH, EXPRESSION} <= set(found):
            return None
        return paired_difference(
            self.rows.labels[seen],
            found[BOTH][seen],
            found[EXPRESSION][seen],
            self.groups[seen].tolist(),
            metric="balanced_accuracy",
            seed=self.seed,
        )
