"""Typed documents that are stored beside a model, and scores of its labels.

Documents are the manifest, predictions and evidence; they are evaluated in
`genept.models.promotion_gate`. Metrics of calibration are in `genept.models.confidence`, scores of
drug responses in `genept.models.drug_response.evaluation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from genept.benchmarks import Score, percentiles, resampled_labels
from genept.storage import Document

Labels = NDArray[np.str_]

ABSTAIN_BELOW: Final = 0.5
"""Probability of the likeliest class below which a model does not answer."""

METRICS: Final = ("balanced_accuracy", "macro_f1", "accuracy")
"""Contenders are compared by the first."""

MAJORITY_CLASS: Final = "majority-class"
PERMUTED_LABELS: Final = "permuted-labels"


class Interval(Document):
    """A score with its 95 % bootstrap interval."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int

    @classmethod
    def of(cls, score: Score) -> Interval:
        """A score as it is stored in a document."""
        return cls(value=score.value, low=score.ci_low, high=score.ci_high, n=score.n)

    @property
    def bounds(self) -> tuple[float, float]:
        """Both ends of the interval.

        Raises
        ------
        ValueError
            If there is no interval.
        """
        if self.low is None or self.high is None:
            raise ValueError("an interval is missing")
        return self.low, self.high


class Predictions(Document):
    """Calibrated probabilities of samples that the model did not see.

    Parameters
    ----------
    probabilities
        Samples × classes.
    folds
        Fold of each sample; none for a holdout.
    """

    ids: tuple[str, ...]
    groups: tuple[str, ...]
    cohorts: tuple[str, ...]
    labels: tuple[str, ...]
    classes: tuple[str, ...]
    probabilities: tuple[tuple[float, ...], ...]
    folds: tuple[int, ...] | None = None

    @property
    def shares(self) -> NDArray[np.float64]:
        """The probabilities as an array, samples × classes."""
        return np.asarray(self.probabilities).reshape(len(self.ids), len(self.classes))

    @property
    def predicted(self) -> NDArray[np.str_]:
        """The likeliest class of each sample."""
        return likeliest(self.classes, self.shares)

    @property
    def truth(self) -> NDArray[np.str_]:
        """The published label of each sample."""
        return np.asarray(self.labels, dtype=np.str_)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the likeliest class of each sample is its label."""
        return np.asarray(self.predicted == self.truth, dtype=np.bool_)

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Probability of the likeliest class of each sample."""
        highest: NDArray[np.float64] = self.shares.max(axis=1)
        return highest

    @property
    def cells(self) -> list[tuple[str, NDArray[np.intp]]]:
        """Rows of every cohort, and of every class in every cohort."""
        cohorts = np.asarray(self.cohorts)
        cells = []
        for cohort in sorted(set(self.cohorts)):
            cells.append((cohort, np.flatnonzero(cohorts == cohort)))
            cells += [
                (f"{cohort}, {label}", np.flatnonzero((cohorts == cohort) & (self.truth == label)))
                for label in sorted(set(self.labels))
            ]
        return cells


class Cohort(Document):
    """One data set that a model was trained on."""

    id: str
    n: int
    data_sha256: str


class ModelManifest(Document):
    """What a model is and what it was made of. The champion's pointer holds its hash.

    Parameters
    ----------
    model, version, collection, label
        Its name, the hash of its origin, the collection of its training, and what it predicts.
    representation, space, unit, genes, kilobases
        What it reads; Ensembl ids in order, and their lengths where GenePT-w divides by them.
    head, steps, classes, types
        Classifier, steps of the Pipeline, classes in the order of probabilities, types in its file.
    temperature, doubt, floor
        Of `genept.models.confidence`; the defaults are of versions stored without them.
    abstain_below
        Probability below which it abstains.
    cohorts, label_counts, left_out, forgotten_on_purpose
        Data sets; samples by label; samples of too rare classes; cohorts that may be missing.
    holdout_sha256
        Hash over the hashes of the held-out samples.
    domain_sha256
        Hash of the domain of its training samples; none for versions stored without one.
    """

    format: Literal[1] = 1
    model: str
    version: str
    collection: str
    label: str
    representation: str
    head: str
    steps: tuple[str, ...]
    classes: tuple[str, ...]
    temperature: float
    doubt: float = 0.0
    floor: float = 1e-6
    abstain_below: float
    space: str
    unit: str
    genes: tuple[str, ...]
    kilobases: tuple[float, ...] | None = None
    seed: int
    cohorts: tuple[Cohort, ...]
    label_counts: dict[str, int]
    left_out: dict[str, int]
    forgotten_on_purpose: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    holdout_sha256: str
    libraries: dict[str, str]
    pipeline_sha256: str
    types: tuple[str, ...]
    probe_sha256: str
    domain_sha256: str | None = None
    evidence_sha256: str
    card_sha256: str


class ModelEvidence(Document):
    """Everything that the gate evaluates of a candidate, measured when it was trained.

    Parameters
    ----------
    baselines, label_like_features
        Predictions for the holdout by what the model must beat; features that give the label away.
    cut_duplicates
        Pairs of nearly equal profiles that lie in two folds, or in training and holdout,
        whatever their groups are said to be.
    sentinels_right, n_sentinels
        How many held-out rows with random labels the model predicted, of how many.
    refit_difference, reload_difference
        Largest difference in probability on the probe set after training again, and
        after loading the stored file.
    embedding_gain, both_less_expression
        Balanced accuracy of what is chosen among all contenders, less of what is chosen among those
        on expression alone; and of both, less of expression alone, by head.
    plain_name, plain
        The plainest model on expression, and what it predicts of all samples, in the order of
        `unseen`; none without expression.
    """

    out_of_fold: Predictions
    holdout: Predictions
    baselines: dict[str, tuple[str, ...]]
    n_features_checked: int
    label_like_features: tuple[str, ...]
    cut_duplicates: tuple[str, ...] = ()
    sentinels_right: int
    n_sentinels: int
    permuted: Interval
    refit_difference: float
    reload_difference: float
    embedding_gain: Interval | None
    both_less_expression: dict[str, Interval] = Field(default_factory=dict)
    plain_name: str = ""
    plain: tuple[str, ...] = ()
    scores: dict[str, Interval]
    contenders: dict[str, Interval]

    @property
    def unseen(self) -> Predictions:
        """Predictions of all samples by models that did not see them: out of fold, and held out."""
        seen, out = self.out_of_fold, self.holdout
        fields = ("ids", "groups", "cohorts", "labels", "probabilities")
        return out.model_copy(
            update={name: getattr(seen, name) + getattr(out, name) for name in fields}
        )


@dataclass(frozen=True)
class Champion:
    """The model in use, and its predictions of the candidate's holdout."""

    manifest: ModelManifest
    evidence: ModelEvidence
    holdout: Predictions


@dataclass(frozen=True)
class ModelCandidate:
    """A trained model, what was measured of it, its card, and the hash of its file as stored.

    `champion` is what it is compared with; None if there is no champion yet.
    """

    manifest: ModelManifest
    evidence: ModelEvidence
    card: str
    stored_pipeline_sha256: str
    champion: Champion | None = None


def likeliest(classes: Sequence[str], shares: NDArray[np.float64]) -> Labels:
    """The most probable class of each row; the first of equal ones."""
    chosen: Labels = np.asarray(classes, dtype=np.str_)[shares.argmax(axis=1)]
    return chosen


def label_scores(
    truth: Labels, predicted: Labels, groups: ArrayLike, seed: int, metrics: Sequence[str] = METRICS
) -> dict[str, Interval]:
    """Scores of predicted labels, with intervals over whole groups."""
    scores = resampled_labels(truth, predicted, groups, metrics, seed=seed)
    return {
        name: Interval.of(Score(score.value, *percentiles(score.draws), len(truth)))
        for name, score in scores.items()
    }


def compared(truth: Labels, predicted: Labels, groups: Labels, seed: int) -> Interval:
    """The score by which contenders are compared."""
    return label_scores(truth, predicted, groups, seed, METRICS[:1])[METRICS[0]]


def majority(labels: Labels) -> str:
    """The most frequent label."""
    names, counts = np.unique(labels, return_counts=True)
    return str(names[counts.argmax()])


def paired_difference(
    truth: Labels,
    first: Labels,
    second: Labels,
    groups: ArrayLike,
    *,
    metric: str = "macro_f1",
    seed: int = 0,
) -> Interval:
    """How much better `first` predicts than `second`, on the same resamples of whole groups."""
    ahead, behind = (
        resampled_labels(truth, labels, groups, [metric], seed=seed)[metric]
        for labels in (first, second)
    )
    low, high = percentiles(ahead.draws - behind.draws)
    return Interval(value=ahead.value - behind.value, low=low, high=high, n=len(truth))
