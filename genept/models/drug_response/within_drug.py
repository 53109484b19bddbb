"""Ridge regression within each drug: out-of-fold predictions with their intervals.

Correlations within each drug over its lines have a median over drugs with an interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from genept.benchmarks.metrics.intervals import Floats, group_codes, group_draws, percentiles
from genept.benchmarks.metrics.scores import Indices, StratifiedSpearman
from genept.models.splits.folds import Folds, finite_features, grouped_folds

N_RESAMPLES: Final = 100

Scored = tuple[float, float | None, float | None]
"""A value and its 95 % interval, where there is one."""

_TINY: Final = 1e-9


class StratifiedPearson:
    """Pearson's correlation of `x` and `y` within each stratum, for any weights of the rows."""

    def __init__(self, x: Floats, y: Floats, strata: NDArray[Any]) -> None:
        _, self._codes = np.unique(strata, return_inverse=True)
        n = np.bincount(self._codes)
        # Centred by stratum: nothing is lost to rounding when sums of squares are subtracted.
        x, y = (one - (np.bincount(self._codes, one) / n)[self._codes] for one in (x, y))
        self._columns = (np.ones(len(x)), x, y, x * x, y * y, x * y)

    def correlations(self, weights: Floats) -> Floats:
        """Correlation per stratum; NaN where it is undefined."""
        n, x, y, xx, yy, xy = (
            np.bincount(self._codes, weights * column) for column in self._columns
        )
        n = np.maximum(n, 1)
        spread = (xx - x * x / n) * (yy - y * y / n)
        defined = spread > _TINY
        return np.where(defined, (xy - x * y / n) / np.sqrt(np.where(defined, spread, 1)), np.nan)


def per_drug_scores(
    measured: Floats, predicted: Floats, drug: NDArray[Any], groups: NDArray[Any], *, seed: int
) -> dict[str, Scored]:
    """Median over drugs of both correlations over lines, with 95 % intervals over groups.

    Drugs for which one value is predicted for all lines are left out; where that is so for
    all, or where only one group is left to resample, there is no score or no interval.
    """
    highest, lowest = (np.full(int(drug.max()) + 1, start) for start in (-np.inf, np.inf))
    np.maximum.at(highest, drug, predicted)
    np.minimum.at(lowest, drug, predicted)
    kept = (highest - lowest > _TINY)[drug]
    if not kept.any():
        return {}
    codes, n_groups = group_codes(groups)
    rows = (measured[kept], predicted[kept], drug[kept])
    found: dict[str, Scored] = {}
    for name, within in (
        ("pearson", StratifiedPearson(*rows)),
        ("spearman", StratifiedSpearman(*rows)),
    ):
        value = np.nanmedian(within.correlations(np.ones(int(kept.sum()))))
        if not np.isfinite(value):
            continue
        medians = [
            np.nanmedian(
                within.correlations(np.bincount(drawn, minlength=n_groups)[codes[kept]] * 1.0)
            )
            for drawn in group_draws(n_groups, N_RESAMPLES, seed)
        ]
        found[f"median_per_drug_{name}"] = (float(value), *percentiles(medians, 0.95))
    return found


MIN_TRAINING_LINES: Final = 30

N_COMPONENTS: Final = 150

COVERAGE: Final = 0.9

PENALTIES: Final = np.logspace(-4, 4, 17)
"""Ridge penalties to choose among, in units of the components' mean sum of squares."""


@dataclass(frozen=True)
class DrugResponseResult:
    """Out-of-fold predictions, one entry per response, in ln(µM).

    `line` is the row of the features; `naive` is the drug's mean over training
    lines; `low` and `high` bound the 90 % prediction interval.
    """

    line: Indices
    drug: NDArray[np.str_]
    fold: Folds
    measured: Floats
    naive: Floats
    prediction: Floats
    low: Floats
    high: Floats
    abstained: NDArray[np.bool_]


def predict_drug_response(
    features: NDArray[np.float32],
    observation_ids: Sequence[str],
    groups: Sequence[str],
    responses: pl.DataFrame,
    *,
    seed: int,
    n_folds: int = 5,
    n_components: int = N_COMPONENTS,
) -> DrugResponseResult:
    """Predict each response by a model that did not see the cell line.

    Standardisation and principal components are fitted on the training lines, once
    for all drugs. Each drug then has a ridge regression on its deviations from the
    drug's training mean, its penalty chosen by leave-one-out error in closed form.
    The interval is the prediction ± the 90 % quantile (with the finite-sample
    correction of conformal prediction) of the absolute leave-one-out errors on the
    training lines: the jackknife. Under 30 training lines the drug's mean is
    predicted and the model abstains.

    Parameters
    ----------
    features
        Lines × features, in the order of `observation_ids`.
    groups
        Group of each line; no group is in two folds.
    responses
        Columns ``observation_id``, ``drug_id``, ``value`` in ln(µM); one row per
        line and drug.

    Raises
    ------
    ValueError
        For features or responses that are not finite, responses that are repeated or
        of lines without features, drugs measured in fewer than two training lines.
    """
    line, drug = _positions(observation_ids, responses)
    X = finite_features(features, len(observation_ids)).astype(np.float64)
    folds = grouped_folds(groups, None, n_folds, seed)
    # Thousands of small problems: on a busy machine BLAS threads that wait for one another
    # were seen to take ten times as long as one thread.
    with threadpool_limits(1, user_api="blas"):
        components = [_components(X, folds != fold, n_components, seed) for fold in range(n_folds)]
        return _out_of_fold(components, line, drug, folds, responses["value"].to_numpy())


def predict_drug_mean(
    observation_ids: Sequence[str],
    groups: Sequence[str],
    responses: pl.DataFrame,
    *,
    seed: int,
    n_folds: int = 5,
) -> DrugResponseResult:
    """The baseline on the same folds: each drug's mean over the training lines."""
    line, drug = _positions(observation_ids, responses)
    folds = grouped_folds(groups, None, n_folds, seed)
    return _out_of_fold([None] * n_folds, line, drug, folds, responses["value"].to_numpy())


def _positions(
    observation_ids: Sequence[str], responses: pl.DataFrame
) -> tuple[Indices, NDArray[np.str_]]:
    """Feature row and drug of each response."""
    row_of = {name: row for row, name in enumerate(observation_ids)}
    if len(row_of) < len(observation_ids):
        raise ValueError("a cell line is named twice among the features")
    repeated = responses.select(pl.struct("observation_id", "drug_id").is_duplicated().sum()).item()
    if repeated:
        raise ValueError(f"{repeated} responses repeat a line and drug; average them first")
    unmeasured = responses.filter(pl.col("value").is_null() | ~pl.col("value").is_finite())
    if len(unmeasured):
        line, drug = unmeasured.row(0, named=True)["observation_id"], unmeasured["drug_id"][0]
        raise ValueError(f"{len(unmeasured)} responses are not finite, such as {line} to {drug}")
    unknown = set(responses["observation_id"]) - set(row_of)
    if unknown:
        raise ValueError(
            f"{len(unknown)} lines have responses but no features, such as {min(unknown)}; "
            "leave their responses out and count them"
        )
    line = np.array([row_of[name] for name in responses["observation_id"]], dtype=np.intp)
    return line, responses["drug_id"].to_numpy().astype(np.str_)


def _components(X: Floats, train: NDArray[np.bool_], n_components: int, seed: int) -> Floats:
    """Principal components of all lines, fitted on the training lines."""
    k = min(n_components, int(train.sum()) - 1, X.shape[1])
    pipeline = make_pipeline(StandardScaler(), PCA(k, random_state=seed)).fit(X[train])
    components: Floats = pipeline.transform(X)
    return components


def _out_of_fold(
    components: Sequence[Floats | None],
    line: Indices,
    drug: NDArray[np.str_],
    line_folds: Folds,
    measured: Floats,
) -> DrugResponseResult:
    """Fit every drug in every fold; without components the drug's mean is all there is."""
    fold = line_folds[line]
    naive, deviation, reach = (np.zeros(len(line)) for _ in range(3))
    abstained = np.zeros(len(line), dtype=np.bool_)
    names, codes = np.unique(drug, return_inverse=True)
    by_drug = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    for k, Z in enumerate(components):
        for name, rows in zip(names, by_drug, strict=True):
            train, test = rows[fold[rows] != k], rows[fold[rows] == k]
            if not len(test):
                continue
            if len(train) < 2:
                raise ValueError(
                    f"drug {name} is measured in {len(train)} lines outside fold {k}, two are "
                    "needed for a mean and its error; leave the drug out and count it"
                )
            y = measured[train]
            naive[test] = y.mean()
            abstained[test] = Z is not None and len(train) < MIN_TRAINING_LINES
            if Z is None or len(train) < MIN_TRAINING_LINES:
                errors = (y - y.mean()) * len(y) / (len(y) - 1)
            else:
                found = fit_ridge(Z[line[train]], y)
                deviation[test] = (Z[line[test]] - found.centre) @ found.coefficients
                errors = found.errors
            reach[test] = conformal_quantile(np.abs(errors))
    prediction = naive + deviation
    return DrugResponseResult(
        line=line,
        drug=drug,
        fold=fold,
        measured=measured,
        naive=naive,
        prediction=prediction,
        low=prediction - reach,
        high=prediction + reach,
        abstained=abstained,
    )


@dataclass(frozen=True)
class Ridge:
    """A ridge regression: deviations from the mean of `y` are ``(Z - centre) @ coefficients``.

    `errors` are the leave-one-out errors on the training lines.
    """

    centre: Floats
    coefficients: Floats
    errors: Floats


def fit_ridge(Z: Floats, y: Floats) -> Ridge:
    """Fit one drug, its penalty chosen by leave-one-out error.

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
    return Ridge(centre, axes @ coefficients[:, best], errors[:, best])


def conformal_quantile(errors: Floats) -> float:
    """The 90 % quantile, with the finite-sample correction of conformal prediction."""
    rank = min(int(np.ceil((len(errors) + 1) * COVERAGE)), len(errors))
    return float(np.partition(errors, rank - 1)[rank - 1])
