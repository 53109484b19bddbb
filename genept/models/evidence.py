"""Typed documents that are stored beside a model: manifest, predictions, evidence.

Also the comparisons of the gate: paired differences over whole groups, and calibration. Its points
are in `genept.models.promotion.promotion_gate`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from genept.benchmarks.metrics import CLASSIFICATION_METRICS, bootstrap_interval
from genept.storage import Document

ABSTAIN_BELOW: Final = 0.5
"""Probability of the likeliest class below which a model does not answer."""


class Interval(Document):
    """A score with its 95 % bootstrap interval."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int

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
        likeliest: NDArray[np.str_] = np.asarray(self.classes)[self.shares.argmax(axis=1)]
        return likeliest

    @property
    def truth(self) -> NDArray[np.str_]:
        """The published label of each sample."""
        return np.asarray(self.labels, dtype=np.str_)


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
    representation, space, unit, genes
        What it reads: expression, vectors of a space, or both; Ensembl ids in order.
    head, steps, classes, types
        Classifier, steps of the Pipeline, classes in the order of probabilities, types in its file.
    temperature, doubt, floor
        Of `genept.models.diagnosis.heads`; the defaults are of versions stored without them.
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
    baselines
        Predictions for the holdout by what the model must beat.
    label_like_features
        Features that give the label away, by representation and position.
    cut_duplicates
        Pairs of nearly equal profiles that lie in two folds, or in training and holdout,
        whatever their groups are said to be.
    sentinels_right, n_sentinels
        Held-out rows with random labels, and how many of these the model predicted.
    refit_difference, reload_difference
        Largest difference in probability on the probe set after training again, and
        after loading the stored file.
    embedding_gain
        Balanced accuracy of what is chosen among all contenders, less of what is chosen among
        those that read expression alone.
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
    scores: dict[str, Interval]
    contenders: dict[str, Interval]


@dataclass(frozen=True)
class ModelCandidate:
    """A trained model, what was measured of it, its card, and the hash of its file as stored."""

    manifest: ModelManifest
    evidence: ModelEvidence
    card: str
    stored_pipeline_sha256: str


@dataclass(frozen=True)
class Champion:
    """The model in use, and its predictions of the candidate's holdout."""

    manifest: ModelManifest
    evidence: ModelEvidence
    holdout: Predictions


Labels = NDArray[np.str_]

N_BINS = 10


def paired_difference(
    truth: Labels,
    first: Labels,
    second: Labels,
    groups: Sequence[str],
    *,
    metric: str = "macro_f1",
    seed: int = 0,
) -> Interval:
    """How much better `first` predicts than `second`, on the same resamples of whole groups."""
    names, codes = np.unique(np.concatenate([truth, first, second]), return_inverse=True)
    t, a, b = np.split(codes, 3)
    k = len(names)

    def score(of: NDArray[np.intp], rows: NDArray[np.intp]) -> float:
        table = np.bincount(t[rows] * k + of[rows], minlength=k * k).reshape(k, k)
        return CLASSIFICATION_METRICS[metric](table)

    def difference(rows: NDArray[np.intp]) -> float:
        return score(a, rows) - score(b, rows)

    return _interval(difference, groups, seed)


def recall_difference(
    hit: NDArray[np.bool_], before: NDArray[np.bool_], groups: Sequence[str], *, seed: int = 0
) -> Interval:
    """Share of rows got right, less the share that the champion got right."""
    gained = hit.astype(np.float64) - before
    return _interval(lambda rows: float(gained[rows].mean()), groups, seed)


def _interval(
    statistic: Callable[[NDArray[np.intp]], float], groups: Sequence[str], seed: int
) -> Interval:
    low, high = bootstrap_interval(statistic, groups, seed=seed)
    everything = np.arange(len(groups), dtype=np.intp)
    return Interval(value=statistic(everything), low=low, high=high, n=len(groups))


@dataclass(frozen=True)
class CalibrationMetrics:
    """Metrics of calibrated probabilities.

    Parameters
    ----------
    slope
        Of a logistic regression of being right on the log odds of the top probability.
    ece
        Expected calibration error over ten bins of equal width.
    brier
        Mean squared distance to the truth, over all classes.
    """

    slope: float
    ece: float
    brier: float


def calibration_metrics(shares: NDArray[np.float64], truth: NDArray[np.intp]) -> CalibrationMetrics:
    """Calibration of probabilities, samples × classes, against the column of the truth.

    The slope is 1 where it is undefined: every prediction is right, or every one is wrong.
    """
    top = shares.max(axis=1)
    right = shares.argmax(axis=1) == truth
    bins = np.minimum((top * N_BINS).astype(np.intp), N_BINS - 1)
    gaps = [
        abs(right[bins == number].mean() - top[bins == number].mean()) * (bins == number).mean()
        for number in np.unique(bins)
    ]
    clipped = np.clip(top, 1e-6, 1 - 1e-6)
    log_odds = np.log(clipped / (1 - clipped))[:, None]
    slope = 1.0
    if right.any() and not right.all():
        slope = float(LogisticRegression(C=1e6).fit(log_odds, right).coef_[0, 0])
    own = np.eye(shares.shape[1])[truth]
    return CalibrationMetrics(
        slope, float(sum(gaps)), float(((shares - own) ** 2).sum(axis=1).mean())
    )


def cohort_cells(out: Predictions) -> list[tuple[str, NDArray[np.intp]]]:
    """Rows of every cohort, and of every class in every cohort."""
    cohorts = np.asarray(out.cohorts)
    cells = []
    for cohort in sorted(set(out.cohorts)):
        cells.append((cohort, np.flatnonzero(cohorts == cohort)))
        cells += [
            (f"{cohort}, {label}", np.flatnonzero((cohorts == cohort) & (out.truth == label)))
            for label in sorted(set(out.labels))
        ]
    return cells
