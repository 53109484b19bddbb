"""When a model is to be believed: calibrated probabilities, and the domain of its samples.

Outside its domain a model abstains. Two distances count: along the main directions in which the
training samples differ, and the residual that these directions do not explain. Both are scaled by
held-out samples of the same cohorts, so that one in a hundred of these has a distance above 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save
from scipy.optimize import minimize_scalar
from scipy.special import logit, softmax
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from genept.models.evidence import Predictions

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]

N_BINS: Final = 10
N_CALIBRATED: Final = 200
LEAST_OF_EACH: Final = 10
"""Right and wrong predictions of which a slope has a standard error."""

SMALLEST: Final = 1e-300

_DOUBTS: Final = (0.0, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12)


class Calibration(NamedTuple):
    """How probabilities are calibrated.

    Parameters
    ----------
    temperature
        Above 1 flattens them, below 1 sharpens them.
    doubt
        Share that is spread evenly over all classes.
    floor
        Least probability of a head that differs from zero.
    """

    temperature: float = 1.0
    doubt: float = 0.0
    floor: float = SMALLEST


def calibrated(shares: Floats, calibration: Calibration) -> Floats:
    """Calibrated probabilities: scaled by the temperature, then mixed with a uniform share.

    Parameters
    ----------
    shares
        Probabilities of a head, rows × classes.
    calibration
        Temperature, doubt and floor.

    Returns
    -------
    Floats
        Rows × classes; each row sums to 1.
    """
    scores = np.log(np.maximum(shares, calibration.floor)) / calibration.temperature
    flat: Floats = softmax(scores, axis=1)
    blended: Floats = (1 - calibration.doubt) * flat + calibration.doubt / shares.shape[1]
    return blended


def fit_calibration(shares: Floats, truth: NDArray[np.intp]) -> Calibration:
    """The calibration with the highest likelihood of out-of-fold probabilities.

    Of n rows each counts as right with 1 − 1 / (n + 2), the rule of succession; the other
    classes share the rest.

    Parameters
    ----------
    shares
        Of rows that the model did not see, rows × classes.
    truth
        Column of each row's own class.

    Returns
    -------
    Calibration
        Temperature between exp(−3) and exp(6), doubt from a grid of 0 to .12; the floor is the
        smallest.
    """
    n, k = shares.shape
    target = np.full((n, k), 1 / (n + 2) / max(k - 1, 1))
    target[np.arange(n), truth] = 1 - 1 / (n + 2)

    def surprise(log_temperature: float, doubt: float) -> float:
        shares_at = calibrated(shares, Calibration(float(np.exp(log_temperature)), doubt))
        return float(-(target * np.log(np.maximum(shares_at, SMALLEST))).sum(axis=1).mean())

    fits = {
        doubt: minimize_scalar(
            surprise, args=(doubt,), bounds=(-3.0, 6.0), method="bounded", options={"xatol": 1e-4}
        )
        for doubt in _DOUBTS
    }
    doubt = min(fits, key=lambda each: float(fits[each].fun))
    return Calibration(float(np.exp(fits[doubt].x)), doubt)


class CalibrationMetrics(NamedTuple):
    """Metrics of calibrated probabilities.

    Parameters
    ----------
    slope, slope_low, slope_high
        Of a logistic regression of being right on the log odds of the top probability, with its
        95 % interval: groups are independent, their samples are not.
    ece, ece_by_chance
        Expected calibration error over ten bins of equal width; and what 95 % of as many samples
        stay below whose probabilities are right.
    brier
        Mean squared distance to the truth, over all classes.
    """

    slope: float
    ece: float
    brier: float
    slope_low: float
    slope_high: float
    ece_by_chance: float


def calibration_metrics(predictions: Predictions) -> CalibrationMetrics:
    """Calibration of the probabilities of these samples.

    The slope is 1, and its interval has no ends, where it is undefined: every prediction is right,
    or every one is wrong.
    """
    top, right = predictions.confidence, predictions.right
    slope, spread = 1.0, np.inf
    if right.any() and not right.all():
        log_odds = logit(np.clip(top, 1e-6, 1 - 1e-6))
        slope, spread = _slope(log_odds, right, predictions.groups)
    gaps = (abs(share - mean) * (n / len(top)) for _, n, mean, share in reliability(predictions))
    own = np.asarray(predictions.classes) == predictions.truth[:, None]
    brier = ((predictions.shares - own) ** 2).sum(axis=1).mean()
    ends = slope - 1.96 * spread, slope + 1.96 * spread
    return CalibrationMetrics(slope, sum(gaps), float(brier), *ends, _ece_by_chance(top))


def _ece_by_chance(top: Floats) -> float:
    rng = np.random.default_rng(0)
    bins = np.minimum((top * N_BINS).astype(np.intp), N_BINS - 1)
    errors = []
    for _ in range(N_CALIBRATED):
        gaps = (rng.random(len(top)) < top) - top
        errors.append(float(np.abs(np.bincount(bins, gaps, N_BINS)).sum()) / len(top))
    return float(np.quantile(errors, 0.95))


def _slope(
    log_odds: Floats, right: NDArray[np.bool_], groups: Sequence[str]
) -> tuple[float, float]:
    """Slope of a logistic regression, and its standard error over groups (Liang and Zeger 1986).

    The error is at least that of independent samples, and infinite if few are right or wrong.
    """
    fitted = LogisticRegression(C=1e6).fit(log_odds[:, None], right)
    design = np.stack([np.ones_like(log_odds), log_odds], axis=1)
    expected = fitted.predict_proba(log_odds[:, None])[:, 1]
    information = design.T @ (design * (expected * (1 - expected))[:, None])
    _, codes = np.unique(np.asarray(groups), return_inverse=True)
    n = int(codes.max()) + 1
    scores = design * (right - expected)[:, None]
    sums = np.stack([np.bincount(codes, column, n) for column in scores.T], axis=1)
    inverse = np.linalg.pinv(information)
    variance = inverse @ (sums.T @ sums * (n / max(n - 1, 1))) @ inverse
    is_known = min(right.sum(), (~right).sum()) >= LEAST_OF_EACH
    spread = float(np.sqrt(max(variance[1, 1], inverse[1, 1]))) if is_known else np.inf
    return float(fitted.coef_[0, 0]), spread


def reliability(predictions: Predictions) -> list[tuple[int, int, float, float]]:
    """By bin of the highest probability: bin, samples, mean probability, share that is right."""
    top, right = predictions.confidence, predictions.right
    bins = np.minimum((top * N_BINS).astype(np.intp), N_BINS - 1)
    return [
        (int(number), int(rows.sum()), float(top[rows].mean()), float(right[rows].mean()))
        for number in np.unique(bins)
        for rows in [bins == number]
    ]


MAX_DIRECTIONS: Final = 50
QUANTILE: Final = 0.99
LEAST_MEASURED: Final = 0.7
"""Share of a model's genes that a file must hold; the others are set to their training mean."""


@dataclass(frozen=True)
class Domain:
    """Distribution of the training samples.

    Parameters
    ----------
    mean, spread
        Of each feature, shape (features,); a feature that does not vary has spread 1.
    directions
        Main directions of the standardised features, directions × features.
    variances
        Along each direction.
    limits
        The largest distance that is usual: along the directions, and off them.
    """

    mean: Matrix
    spread: Matrix
    directions: Matrix
    variances: Matrix
    limits: Floats

    def distances(self, features: Matrix, measured: NDArray[np.bool_] | None = None) -> Floats:
        """Distance of each sample, shape (samples,); above 1 it is outside the domain.

        Parameters
        ----------
        features
            Samples × features.
        measured
            Features that count, shape (features,); the others were imputed.
        """
        usual = np.maximum(self.limits, np.finfo(np.float64).tiny)
        far: Floats = (self._both(features, measured) / usual).max(axis=1)
        return far

    def _both(self, features: Matrix, measured: NDArray[np.bool_] | None) -> Floats:
        z = (features.astype(np.float64) - self.mean) / self.spread
        with threadpool_limits(1):
            along = z @ self.directions.T.astype(np.float64)
            rest = z - along @ self.directions
        if measured is not None:
            rest = rest[:, measured]
        squares = (along**2 / self.variances).mean(axis=1), (rest**2).mean(axis=1)
        distances: Floats = np.sqrt(np.stack(squares, axis=1))
        return distances

    def body(self) -> bytes:
        """The domain as a file."""
        fields = {name: np.ascontiguousarray(value) for name, value in vars(self).items()}
        data: bytes = save(fields)
        return data


def fit_domain(trained: Matrix, unseen: Matrix, *, seed: int) -> Domain:
    """Fit a domain: the directions of training samples, and the limits of held-out ones.

    Parameters
    ----------
    trained
        Features of the training samples, samples × features.
    unseen
        Of held-out samples of the same cohorts: they set the limits.

    Raises
    ------
    ValueError
        Without held-out samples.
    """
    if not len(unseen):
        raise ValueError("no samples are held out, and the limits of the domain need them")
    X = trained.astype(np.float64)
    mean, spread = X.mean(axis=0), X.std(axis=0)
    spread[spread == 0] = 1
    k = min(MAX_DIRECTIONS, max(1, len(X) // 5), X.shape[1])
    with threadpool_limits(1):
        pca = PCA(k, svd_solver="randomized", random_state=seed).fit((X - mean) / spread)
    variances = np.maximum(pca.explained_variance_, np.finfo(np.float32).tiny)
    fitted = (mean, spread, pca.components_, variances)
    centre, scale, directions, along = (values.astype(np.float32) for values in fitted)
    bare = Domain(centre, scale, directions, along, limits=np.ones(2))
    limits = np.quantile(bare._both(unseen, None), QUANTILE, axis=0, method="higher")
    return replace(bare, limits=limits)
