"""What is known about a trained model: typed documents that are stored beside it.

The gate reads these and nothing else. How they come about is in `genept.models.retraining`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from genept.store.manifest import Document

ABSTAIN_BELOW: Final = 0.5
"""Probability of the likeliest class below which a model does not answer."""


class Interval(Document):
    """A score with its 95 % bootstrap interval."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int


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
    """What a model is and what it was made of. Its hash stands in the champion's pointer.

    Parameters
    ----------
    genes
        Ensembl ids that it reads, in order.
    holdout_sha256
        Hash over the hashes of the held-out samples.
    temperature, doubt, floor
        Of `genept.models.tempering`; the defaults are of versions from before they were kept.
    domain_sha256
        Of what its training samples look like; none for versions from before there was that.
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


class Evidence(Document):
    """Everything that the gate asks about a candidate, measured when it was trained.

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
class Candidate:
    """A trained model, what was measured of it, its card, and the hash of its file as stored."""

    manifest: ModelManifest
    evidence: Evidence
    card: str
    stored_pipeline_sha256: str


@dataclass(frozen=True)
class Champion:
    """Who predicts now, and its predictions of the candidate's own holdout."""

    manifest: ModelManifest
    evidence: Evidence
    holdout: Predictions
