"""A drug-response model as one Pipeline: prepared lines, and a ridge for each drug.

A row of features is a cell line and, in its last column, the code of a drug, so that the code that
stores and judges diagnosis models works for these models too. Scores are in
`genept.models.drug_response.evaluation`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from genept.models.drug_response.predictors import Floats, ResponsePairs
from genept.models.heads import STEPS
from genept.models.holdout import HoldoutReadError

RESISTANT: Final = "resistant"
SENSITIVE: Final = "sensitive"
CLASSES: Final = (RESISTANT, SENSITIVE)
N_COMPONENTS: Final = 100
MIN_TRAINING_LINES: Final = 30
COVERAGE: Final = 0.9
PENALTIES: Final = np.logspace(-4, 4, 17)
"""Ridge penalties to choose among, in units of the components' mean sum of squares."""
Matrix = NDArray[np.float32]
Mask = NDArray[np.bool_]


def drug_codes(drugs: Sequence[str]) -> Floats:
    """Code of each drug, from its name alone: exact in float32 and the same in every screen.

    Raises
    ------
    ValueError
        If two drugs share a code, which is rare with 24 bits.
    """
    codes = [int(hashlib.sha256(drug.encode()).hexdigest()[:6], 16) for drug in drugs]
    if len(set(codes)) < len(codes):
        raise ValueError("two drugs have one code: rename one of them in the collection")
    return np.array(codes, dtype=np.float64)


def fit_ridge(Z: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Fit one drug, its penalty chosen by leave-one-out error: centre, coefficients, errors.

    Deviations from the mean of `y` are ``(Z - centre) @ coefficients``; errors are those of leaving
    one training line out.

    One eigendecomposition serves every penalty (as in scikit-learn's RidgeCV, whose
    answer this is, several times faster): the leave-one-out error is the residual
    over one minus the line's leverage.
    """
    centre, residual = Z.mean(axis=0), y - y.mean()
    eigenvalues, axes = np.linalg.eigh((Z - centre).T @ (Z - centre))
    scores = (Z - centre) @ axes
    shrinkage = 1 / (np.maximum(eigenvalues, 0)[:, None] + PENALTIES * eigenvalues.mean())
    coefficients = (scores.T @ residual)[:, None] * shrinkage
    leverage = scores**2 @ shrinkage + 1 / len(y)
    errors = (residual[:, None] - scores @ coefficients) / (1 - leverage)
    best = int((errors**2).mean(axis=0).argmin())
    return centre, axes @ coefficients[:, best], errors[:, best]


def conformal_quantile(errors: Floats) -> float:
    """The 90 % quantile, with the finite-sample correction of conformal prediction."""
    rank = min(int(np.ceil((len(errors) + 1) * COVERAGE)), len(errors))
    return float(np.partition(errors, rank - 1)[rank - 1])


class OfLines(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted step that transforms the features of the line and passes on the drug's code."""

    def __init__(self, step: Any) -> None:
        self.step = step

    def fit(self, X: Floats, y: object = None) -> OfLines:  # noqa: ARG002 - scikit-learn's shape
        """Do nothing: the step was fitted on lines, each of which counts once."""
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
            Pairs × (components of the line, code of the drug). Without components, the mean of
            each drug is fitted.
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
        of_drugs = np.split(np.argsort(drug), np.cumsum(np.bincount(drug))[:-1])
        for row, pairs in enumerate(of_drugs):
            values = y[pairs]
            if len(pairs) < 2:
                raise ValueError("a drug was measured in one line only: leave it out, count it")
            self.mean_[row] = values.mean()
            errors = (values - values.mean()) * len(pairs) / (len(pairs) - 1)
            if k and len(pairs) >= MIN_TRAINING_LINES:
                ridge = fit_ridge(Z[pairs, :-1], values)
                self.centre_[row], self.coefficients_[row], errors = ridge
            self.spread_[row] = max(float(np.sqrt((errors**2).mean())), 1e-9)
            self.reach_[row] = conformal_quantile(np.abs(errors))
            squares += float((errors**2).sum())
        self.error_ = np.array([np.sqrt(squares / len(y))])
        return self

    def predict(self, Z: Floats) -> Floats:
        """Response of each pair, in the unit that was fitted; NaN for a drug that is unknown."""
        row, known = self._rows_of(Z)
        deviation = ((Z[:, :-1] - self.centre_[row]) * self.coefficients_[row]).sum(axis=1)
        return np.where(known, self.mean_[row] + deviation, np.nan)

    def predict_proba(self, Z: Floats) -> Floats:
        """Probabilities to lie above and below the drug's mean; 0.5 for an unknown drug."""
        row, known = self._rows_of(Z)
        below = norm.cdf((self.mean_[row] - self.predict(Z)) / self.spread_[row])
        below = np.where(known, below, 0.5)
        return np.stack([1 - below, below], axis=1)

    def reach(self, Z: Floats) -> Floats:
        """Half the width of each pair's 90 % prediction interval."""
        reach: Floats = self.reach_[self._rows_of(Z)[0]]
        return reach

    def abstains(self, Z: Floats) -> Mask:
        """Whether a pair's drug has too few training lines, or none."""
        row, known = self._rows_of(Z)
        few: Mask = ~known | (self.n_lines_[row] < MIN_TRAINING_LINES)
        return few

    def _rows_of(self, Z: Floats) -> tuple[NDArray[np.intp], Mask]:
        row = np.minimum(np.searchsorted(self.codes_, Z[:, -1]), len(self.codes_) - 1)
        return row, self.codes_[row] == Z[:, -1]


def fit_pipeline(
    features: Matrix,
    drugs: NDArray[np.str_],
    pairs: ResponsePairs,
    train: Mask,
    *,
    seed: int,
    lines: Mask | None = None,
    n_components: int = N_COMPONENTS,
    svd_solver: Literal["auto", "randomized"] = "randomized",
) -> Pipeline:
    """Fit the whole Pipeline on the training pairs.

    Parameters
    ----------
    features
        Of all lines, shape (lines, features).
    drugs
        Names of the drugs that ``pairs.drug`` counts.
    train
        The training pairs, shape (pairs,).
    lines
        Lines on which standardisation and components are fitted, each counting once; by default
        those of the training pairs.

    Raises
    ------
    HoldoutReadError
        If a training pair has no response: only those of the holdout have none.
    """
    if unread := int(np.isnan(pairs.value[train]).sum()):
        raise HoldoutReadError(
            f"{unread} pairs of the holdout were handed to training: their responses are kept "
            "from it; train on the pairs outside `out`"
        )
    codes = drug_codes(drugs.tolist())
    seen, line = np.unique(pairs.line[train], return_inverse=True)
    if lines is not None:
        seen, line = np.flatnonzero(lines), (np.cumsum(lines) - 1)[pairs.line[train]]
    X = features[seen].astype(np.float64)
    k = min(n_components, len(seen) - 1, X.shape[1])
    with threadpool_limits(1):
        scale = StandardScaler().fit(X)
        standardised = scale.transform(X)
        components = PCA(k, svd_solver=svd_solver, random_state=seed).fit(standardised)
        Z = components.transform(standardised)[line]
        head = WithinDrug().fit(
            np.hstack([Z, codes[pairs.drug[train]][:, None]]), pairs.value[train]
        )
    order = np.argsort(codes)
    head.drugs_ = drugs[order][np.isin(codes[order], head.codes_)]
    return Pipeline(list(zip(STEPS, (OfLines(scale), OfLines(components), head), strict=True)))


def predict_pairs(
    pipeline: Pipeline, features: Matrix, line: NDArray[np.intp], codes: Floats
) -> tuple[Floats, Floats, Mask, Floats]:
    """Response, half width of the interval, abstention, and shares of pairs of lines and drugs.

    Shares are the probabilities to be resistant and sensitive, not calibrated, shape (pairs, 2).
    Every line is transformed once, whatever the number of its drugs.
    """
    scale, components = (pipeline.named_steps[name].step for name in STEPS[:2])
    with threadpool_limits(1):
        prepared = components.transform(scale.transform(features.astype(np.float64)))
    Z = np.hstack([prepared[line], codes[:, None]])
    head: WithinDrug = pipeline.named_steps[STEPS[2]]
    return head.predict(Z), head.reach(Z), head.abstains(Z), head.predict_proba(Z)
