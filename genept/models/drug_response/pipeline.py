"""A drug-response model as one Pipeline: lines are prepared, each drug has its own ridge.

A row of features is a line and, in its last column, the code of a drug: so that what holds and
judges a diagnosis holds and judges this. How good it is, is
`genept.models.drug_response.drug_retraining`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.stats import norm
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from genept.models.diagnosis.heads import STEPS
from genept.models.drug_response.predictors import Floats, Pairs
from genept.models.drug_response.within_drug import (
    MIN_TRAINING_LINES,
    conformal_quantile,
    fit_ridge,
)
from genept.models.splits.holdout import HoldoutReadError

RESISTANT: Final = "resistant"
SENSITIVE: Final = "sensitive"
CLASSES: Final = (RESISTANT, SENSITIVE)
N_COMPONENTS: Final = 100
Matrix = npt.NDArray[np.float32]


def drug_codes(drugs: Sequence[str]) -> Floats:
    """A number for each drug, from its name alone: exact in float32, the same in every screen.

    Raises
    ------
    ValueError
        If two drugs share a number; 24 bits make that a rare thing, and a wrong answer never.
    """
    codes = [int(hashlib.sha256(one.encode()).hexdigest()[:6], 16) for one in drugs]
    if len(set(codes)) < len(codes):
        raise ValueError("two drugs have one code: rename one of them in the collection")
    return np.array(codes, dtype=np.float64)


def pair_features(lines: Matrix, codes: Floats) -> Matrix:
    """Rows of pairs: the features of each pair's line, and its drug's code."""
    return np.hstack([lines, codes[:, None].astype(np.float32)])


class OfLines(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted step that is applied to the line; the drug's code is passed on."""

    def __init__(self, step: Any) -> None:
        self.step = step

    def fit(self, X: Floats, y: object = None) -> OfLines:  # noqa: ARG002 - scikit-learn's shape
        """Nothing: the step was fitted on lines, each of which counts once."""
        return self

    def transform(self, X: Floats) -> Floats:
        """Pairs × (features of the line, code of the drug)."""
        return np.hstack([self.step.transform(X[:, :-1]), X[:, -1:]])

    @property
    def mean_(self) -> Floats:
        """Training means of the features; of the drug's code, 0."""
        return np.append(self.step.mean_, 0.0)

    def __sklearn_is_fitted__(self) -> bool:
        return True


class WithinDrug(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """One ridge regression per drug, on the components of the line.

    Attributes
    ----------
    codes_, n_lines_
        Of each drug, by ascending code: its code, and how many training lines it has.
    drugs_
        Their names, in the same order.
    mean_, spread_, reach_
        Its mean, the standard deviation of its errors, half its 90 % prediction interval.
    error_
        Root mean squared leave-one-out error over all drugs, shape (1,).
    centre_, coefficients_
        Drugs × components; zero for a drug of under 30 training lines.
    """

    classes_ = np.array(CLASSES)

    def fit(self, Z: Floats, y: Floats) -> WithinDrug:
        """Fit every drug; each chooses its penalty by leave-one-out error in closed form.

        Parameters
        ----------
        Z
            Pairs × (components of the line, code of the drug).
        y
            Measured response of each pair.

        Raises
        ------
        ValueError
            For a drug that was measured in one line only.
        """
        self.codes_, drug = np.unique(Z[:, -1], return_inverse=True)
        n, k = len(self.codes_), Z.shape[1] - 1
        self.n_lines_ = np.bincount(drug).astype(np.float64)
        self.mean_, self.spread_, self.reach_ = (np.zeros(n) for _ in range(3))
        self.centre_, self.coefficients_ = np.zeros((n, k)), np.zeros((n, k))
        squares = 0.0
        for one, rows in enumerate(np.split(np.argsort(drug), np.cumsum(np.bincount(drug))[:-1])):
            values = y[rows]
            if len(rows) < 2:
                raise ValueError("a drug was measured in one line only: leave it out, count it")
            self.mean_[one] = values.mean()
            errors = (values - values.mean()) * len(rows) / (len(rows) - 1)
            if len(rows) >= MIN_TRAINING_LINES:
                found = fit_ridge(Z[rows, :-1], values)
                self.centre_[one], self.coefficients_[one] = found.centre, found.coefficients
                errors = found.errors
            self.spread_[one] = max(float(np.sqrt((errors**2).mean())), 1e-9)
            self.reach_[one] = conformal_quantile(np.abs(errors))
            squares += float((errors**2).sum())
        self.error_ = np.array([np.sqrt(squares / len(y))])
        return self

    def predict(self, Z: Floats) -> Floats:
        """Response of each pair, in the unit that was fitted; NaN for a drug that is unknown."""
        place, known = self._places(Z)
        deviation = ((Z[:, :-1] - self.centre_[place]) * self.coefficients_[place]).sum(axis=1)
        return np.where(known, self.mean_[place] + deviation, np.nan)

    def predict_proba(self, Z: Floats) -> Floats:
        """How likely each pair lies above and below its drug's mean; even if it is unknown."""
        place, known = self._places(Z)
        below = norm.cdf((self.mean_[place] - self.predict(Z)) / self.spread_[place])
        below = np.where(known, below, 0.5)
        return np.stack([1 - below, below], axis=1)

    def reach(self, Z: Floats) -> Floats:
        """Half the width of each pair's 90 % prediction interval."""
        found: Floats = self.reach_[self._places(Z)[0]]
        return found

    def abstains(self, Z: Floats) -> npt.NDArray[np.bool_]:
        """Whether a pair's drug has too few training lines, or none."""
        place, known = self._places(Z)
        few: npt.NDArray[np.bool_] = ~known | (self.n_lines_[place] < MIN_TRAINING_LINES)
        return few

    def _places(self, Z: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        place = np.minimum(np.searchsorted(self.codes_, Z[:, -1]), len(self.codes_) - 1)
        return place, self.codes_[place] == Z[:, -1]


def fit_pipeline(
    features: Matrix,
    drugs: npt.NDArray[np.str_],
    pairs: Pairs,
    train: npt.NDArray[np.bool_],
    *,
    seed: int,
) -> Pipeline:
    """Fit the whole Pipeline on the training pairs.

    Parameters
    ----------
    features
        Of all lines; only those of training pairs are read, and each counts once.
    drugs
        Names of the drugs that ``pairs.drug`` counts.

    Raises
    ------
    HoldoutReadError
        If a training pair has no response: only those of the holdout have none.
    """
    if unread := int(np.isnan(pairs.value[train]).sum()):
        raise HoldoutReadError(
            f"{unread} pairs of the holdout were handed to training: their responses are kept "
            "from it; train on the pairs that `out` leaves"
        )
    codes = drug_codes(drugs.tolist())
    seen, line = np.unique(pairs.line[train], return_inverse=True)
    X = features[seen].astype(np.float64)
    k = min(N_COMPONENTS, len(seen) - 1, X.shape[1])
    with threadpool_limits(1):
        scale = StandardScaler().fit(X)
        standardised = scale.transform(X)
        components = PCA(k, svd_solver="randomized", random_state=seed).fit(standardised)
        Z = components.transform(standardised)[line]
        head = WithinDrug().fit(
            np.hstack([Z, codes[pairs.drug[train]][:, None]]), pairs.value[train]
        )
    order = np.argsort(codes)
    head.drugs_ = drugs[order][np.isin(codes[order], head.codes_)]
    return Pipeline(list(zip(STEPS, (OfLines(scale), OfLines(components), head), strict=True)))


def prepared(pipeline: Pipeline, features: Matrix) -> Floats:
    """Components of lines, as the Pipeline's head reads them."""
    scale, components = (pipeline.named_steps[name].step for name in STEPS[:2])
    with threadpool_limits(1):
        found: Floats = components.transform(scale.transform(features.astype(np.float64)))
    return found


def predict_pairs(
    pipeline: Pipeline, features: Matrix, line: npt.NDArray[np.intp], codes: Floats
) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Response, half width of the interval, and abstention of pairs of lines and drugs.

    Every line is prepared once, however many drugs it meets.
    """
    Z = np.hstack([prepared(pipeline, features)[line], codes[:, None]])
    head: WithinDrug = pipeline.named_steps[STEPS[2]]
    return head.predict(Z), head.reach(Z), head.abstains(Z)


def pair_shares(
    pipeline: Pipeline, features: Matrix, line: npt.NDArray[np.intp], codes: Floats
) -> Floats:
    """How likely pairs are resistant and sensitive, not tempered."""
    Z = np.hstack([prepared(pipeline, features)[line], codes[:, None]])
    shares: Floats = pipeline.named_steps[STEPS[2]].predict_proba(Z)
    return shares
