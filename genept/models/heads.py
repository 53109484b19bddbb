"""Parts of a diagnosis model: representation, preparation and head.

Also the probe set: a few samples, and the predictions of the model when it was trained. Choosing
among contenders is in `genept.models.selection`.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from genept.models.confidence import Calibration, Floats, calibrated

LINEAR: Final = "linear"

SHRUNKEN: Final = {"shrunken-0.5": 0.5, "shrunken-0.1": 0.1, "shrunken-0.9": 0.9}
"""Shrinkage of the covariance, by name of the linear discriminants. Which is best depends on the
task; of equal scores the first in this order is chosen."""

NEIGHBOURS: Final = "knn"

BOOSTED: Final = "boosted"

USUAL_HEADS: Final = (LINEAR, *SHRUNKEN, NEIGHBOURS)

HEADS: Final = (*USUAL_HEADS, BOOSTED)
"""From the simplest to the least simple: of equal ones the first is chosen."""


STEPS: Final = ("scale", "components", "head")

FEW_COMPONENTS: Final = 100

MAX_COMPONENTS: Final = dict.fromkeys(HEADS, FEW_COMPONENTS) | dict.fromkeys(SHRUNKEN, 1000)
"""Largest number of principal components, by head; shrunken discriminants stay stable with more."""

N_NEIGHBOURS: Final = 10


@dataclass(frozen=True)
class Contender:
    """A representation, and the head that reads it.

    Parameters
    ----------
    representation, head
        What is read: expression, a space, or both; name of the head, one of `HEADS`.
    """

    representation: str
    head: str

    @property
    def name(self) -> str:
        """Such as ``expression, linear``."""
        return f"{self.representation}, {self.head}"


@dataclass(frozen=True)
class DiagnosisModel:
    """A fitted model: a Pipeline, and the calibration of its probabilities.

    Parameters
    ----------
    contender, pipeline, calibration
        Representation and head; scaling, principal components and head; of the probabilities.
    classes
        In the order of the columns of `probabilities`.
    """

    contender: Contender
    pipeline: Pipeline
    classes: tuple[str, ...]
    calibration: Calibration

    def probabilities(self, features: Mapping[str, NDArray[np.float32]]) -> Floats:
        """Calibrated probabilities, samples × classes."""
        X = features[self.contender.representation].astype(np.float64)
        return calibrated(class_shares(self.pipeline, X, self.classes), self.calibration)


def new_head(name: str, n_classes: int, seed: int) -> Any:
    """An unfitted head.

    Linear and boosted heads weigh classes by the inverse of their frequency, the shrunken
    discriminants give them equal priors; neighbours cannot, and vote by the inverse of their
    distance.
    """
    if name == LINEAR:
        # The quasi-Newton default stops where rounding leads it: on KIPAN another number of BLAS
        # threads moved probabilities by 0.1. Newton's method in float64 agrees to 1e-13.
        return LogisticRegression(class_weight="balanced", solver="newton-cholesky", tol=1e-6)
    if name in SHRUNKEN:
        priors = [1 / n_classes] * n_classes
        return LinearDiscriminantAnalysis("lsqr", shrinkage=SHRUNKEN[name], priors=priors)
    if name == NEIGHBOURS:
        return KNeighborsClassifier(n_neighbors=N_NEIGHBOURS, weights="distance", algorithm="brute")
    if name == BOOSTED:
        return HistGradientBoostingClassifier(
            max_iter=60, max_depth=3, class_weight="balanced", early_stopping=False,
            random_state=seed,
        )  # fmt: skip
    raise ValueError(f"unknown head {name!r}; there are {', '.join(HEADS)}")


def new_preparation(
    n_rows: int, n_features: int, seed: int, components: int = FEW_COMPONENTS
) -> Pipeline:
    """Standardisation and principal components, unfitted.

    Exact, not randomised: the first components are the same however many are asked for.
    """
    pca = PCA(min(components, n_rows - 1, n_features), svd_solver="full", random_state=seed)
    return Pipeline([(STEPS[0], StandardScaler()), (STEPS[1], pca)])


def fitted(estimator: Any, X: Floats, y: NDArray[np.str_] | None = None) -> Any:
    """Fit on one thread; an unfinished fit raises instead of becoming a result.

    One thread: on a busy machine threads spend their time waiting for one another.
    """
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("error", ConvergenceWarning)
        warnings.simplefilter("error", RuntimeWarning)
        return estimator.fit(X, y)


def class_shares(estimator: Any, X: Floats, classes: tuple[str, ...]) -> Floats:
    """Uncalibrated probabilities in the order of `classes`; 0 for one it was not trained on."""
    shares = np.zeros((len(X), len(classes)))
    with threadpool_limits(1):
        shares[:, np.searchsorted(classes, estimator.classes_)] = estimator.predict_proba(X)
    head = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    if isinstance(head, KNeighborsClassifier):
        # Laplace smoothing: one more neighbour, of any class, votes.
        return (shares * N_NEIGHBOURS + 1 / len(classes)) / (N_NEIGHBOURS + 1)
    return shares


def fit_model(
    contender: Contender,
    features: Mapping[str, NDArray[np.float32]],
    labels: NDArray[np.str_],
    calibration: Calibration,
    seed: int,
) -> DiagnosisModel:
    """Fit the whole Pipeline of a contender."""
    X = features[contender.representation].astype(np.float64)
    classes = tuple(str(name) for name in np.unique(labels))
    steps = new_preparation(len(X), X.shape[1], seed, MAX_COMPONENTS[contender.head]).steps
    pipeline = Pipeline([*steps, (STEPS[2], new_head(contender.head, len(classes), seed))])
    return DiagnosisModel(contender, fitted(pipeline, X, labels), classes, calibration)


PROBE_TOLERANCE: Final = 1e-6


def probe_bytes(model: DiagnosisModel, features: NDArray[np.float32]) -> bytes:
    """The probe set: features of a few samples, and the predictions of the model.

    Parameters
    ----------
    model
        The fitted model.
    features
        What the model reads of the samples, samples × features.

    Returns
    -------
    bytes
        A safetensors file of ``features`` and ``probabilities`` (samples × classes).
    """
    seen = np.ascontiguousarray(features, dtype=np.float32)
    expected = model.probabilities({model.contender.representation: seen})
    data: bytes = save({"features": seen, "probabilities": np.ascontiguousarray(expected)})
    return data


def probe_difference(model: DiagnosisModel, probe: Mapping[str, NDArray[np.float64]]) -> float:
    """Largest difference in probability from the stored predictions of the probe set.

    Parameters
    ----------
    model
        The model to check.
    probe
        ``features`` and ``probabilities`` as `probe_bytes` stores them.

    Returns
    -------
    float
        Maximum over samples and classes; `PROBE_TOLERANCE` is allowed.
    """
    features = {model.contender.representation: probe["features"].astype(np.float32)}
    return float(np.abs(model.probabilities(features) - probe["probabilities"]).max())
