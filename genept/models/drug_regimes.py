"""Drug response in four ways of keeping train and test apart, beside all naive predictors.

Models predict what is left after the mean effects; on a drug that they have never seen the
per-drug models have nothing to add. Intervals are cross-conformal over the folds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import ElasticNet, Ridge
from threadpoolctl import threadpool_limits

from genept.benchmarks.intervals import bootstrap_totals
from genept.benchmarks.scores import pearson_score
from genept.models.folds import FrozenFolds, Regime, drug_folds, observation_folds, pair_folds
from genept.models.heads import fitted, new_preparation
from genept.models.naive import MEAN_EFFECTS, NAIVE, Floats, Pairs
from genept.models.splits import Folds

REGIMES: Final = (
    Regime.RANDOM_PAIRS,
    Regime.LEAVE_CELL_LINE_OUT,
    Regime.LEAVE_TISSUE_OUT,
    Regime.LEAVE_DRUG_OUT,
)
PERMUTED_FEATURES: Final = "permuted-features"
COVERAGE: Final = 0.9
MIN_LINES: Final = 30
N_DRUG_FACTORS: Final = 8
Fit = Callable[[Floats, NDArray[np.float64], NDArray[np.bool_], Pairs, int], Floats]


def regime_folds(
    regime: Regime,
    lines: NDArray[np.str_],
    groups: NDArray[np.str_],
    tissues: NDArray[np.str_],
    drugs: NDArray[np.str_],
    pairs: Pairs,
    *,
    n_folds: int,
    seed: int,
) -> tuple[FrozenFolds, Folds]:
    """The frozen folds of a regime, and the fold of each pair.

    Parameters
    ----------
    lines, groups, tissues
        Of each line; `drugs` are the names that ``pairs.drug`` counts.
    """
    if regime is Regime.RANDOM_PAIRS:
        frozen = pair_folds(lines[pairs.line], drugs[pairs.drug], n_folds=n_folds, seed=seed)
        return frozen, frozen.folds
    if regime is Regime.LEAVE_DRUG_OUT:
        frozen = drug_folds(drugs.tolist(), n_folds=n_folds, seed=seed)
        return frozen, frozen.folds[pairs.drug]
    by_tissue = tissues if regime is Regime.LEAVE_TISSUE_OUT else None
    frozen = observation_folds(
        lines, groups, n_folds=n_folds, seed=seed, leave_out=by_tissue, regime=regime
    )
    return frozen, frozen.folds[pairs.line]


def predict_regime(
    features: NDArray[np.float32], pairs: Pairs, folds: Folds, fit: Fit, *, seed: int
) -> Floats:
    """Out-of-fold predictions of every pair: mean effects, plus what `fit` makes of the rest."""
    predicted = np.empty(len(pairs.value))
    for fold in np.unique(folds):
        train = folds != fold
        seen = np.unique(pairs.line[train])
        X = features.astype(np.float64)
        components = fitted(new_preparation(len(seen), X.shape[1], seed), X[seen]).transform(X)
        naive = NAIVE[MEAN_EFFECTS](pairs, train)
        with threadpool_limits(1):
            rest = fit(components, pairs.value - naive, train, pairs, seed)
        predicted[~train] = (naive + rest)[~train]
    return predicted


def conformal_reach(measured: Floats, predicted: Floats, folds: Folds) -> Floats:
    """Half width of each pair's 90 % interval: a quantile of the other folds' errors."""
    errors = np.abs(measured - predicted)
    reach = np.empty(len(errors))
    for fold in np.unique(folds):
        others = np.sort(errors[folds != fold])
        rank = min(int(np.ceil((len(others) + 1) * COVERAGE)), len(others))
        reach[folds == fold] = others[rank - 1]
    return reach


def regime_scores(
    predictions: dict[str, Floats], pairs: Pairs, folds: Folds, groups: NDArray[Any], *, seed: int
) -> list[dict[str, Any]]:
    """Normalised Pearson, per-drug Pearson and Spearman, RMSE and coverage of each prediction.

    ``normalised_pearson`` is of what is left of truth and prediction after the mean effects;
    it is 0 by definition where nothing is left of the prediction.

    Parameters
    ----------
    groups
        The honest unit of each pair: what the regime leaves out.
    """
    naive = np.empty(len(pairs.value))
    for fold in np.unique(folds):
        naive[folds == fold] = NAIVE[MEAN_EFFECTS](pairs, folds != fold)[folds == fold]
    rows: list[dict[str, Any]] = []
    for name, predicted in predictions.items():
        squares = (pairs.value - predicted) ** 2
        inside = np.abs(pairs.value - predicted) <= conformal_reach(pairs.value, predicted, folds)
        sums = np.stack([np.ones(len(squares)), squares, inside], axis=1)
        found: dict[str, tuple[float, float | None, float | None]] = {}
        left = predicted - naive
        found["normalised_pearson"] = (0.0, None, None)
        if np.ptp(left) > 1e-9:
            score = pearson_score(pairs.value - naive, left, groups, seed=seed)
            found["normalised_pearson"] = (score.value, score.ci_low, score.ci_high)
        low, high = bootstrap_totals(lambda t: np.sqrt(t[:, 1] / t[:, 0]), sums, groups, seed=seed)
        found["rmse"] = (float(np.sqrt(squares.mean())), low, high)
        low, high = bootstrap_totals(lambda t: t[:, 2] / t[:, 0], sums, groups, seed=seed)
        found["interval_coverage"] = (float(inside.mean()), low, high)
        for metric, value in _per_drug(pairs, predicted).items():
            found[metric] = (value, None, None)
        rows += [
            {
                "representation": name,
                "metric": metric,
                "value": value,
                "ci_low": ci_low,
                "ci_high": ci_high,
                "n": len(pairs.value),
                "is_control": name in NAIVE or name == PERMUTED_FEATURES,
            }
            for metric, (value, ci_low, ci_high) in found.items()
        ]
    return rows


def naive_predictions(pairs: Pairs, folds: Folds) -> dict[str, Floats]:
    """All six naive predictors, out of fold."""
    found = {name: np.empty(len(pairs.value)) for name in NAIVE}
    for fold in np.unique(folds):
        for name, predict in NAIVE.items():
            found[name][folds == fold] = predict(pairs, folds != fold)[folds == fold]
    return found


def _per_drug(pairs: Pairs, predicted: Floats) -> dict[str, float]:
    """Median over drugs of the correlations over lines; drugs that do not vary are left out."""
    frame = pl.DataFrame({"drug": pairs.drug, "x": pairs.value, "y": predicted})
    varying = frame.filter((pl.col("y").max() - pl.col("y").min() > 1e-9).over("drug"))
    if not len(varying):
        return {}
    by_drug = varying.group_by("drug").agg(
        pl.corr("x", "y").alias("pearson"), pl.corr("x", "y", method="spearman").alias("spearman")
    )
    medians = {name: by_drug[name].drop_nans().median() for name in ("pearson", "spearman")}
    return {
        f"median_per_drug_{name}": float(value)
        for name, value in medians.items()
        if isinstance(value, float)
    }


def _by_drug(new_model: Callable[[int], Any]) -> Fit:
    """A model for each drug, over the components of the lines."""

    def fit(
        components: Floats, rest: Floats, train: NDArray[np.bool_], pairs: Pairs, seed: int
    ) -> Floats:
        found = np.zeros(len(rest))
        for drug in np.unique(pairs.drug):
            rows = np.flatnonzero(pairs.drug == drug)
            seen, unseen = rows[train[rows]], rows[~train[rows]]
            if len(seen) >= MIN_LINES and len(unseen):
                model = new_model(seed).fit(components[pairs.line[seen]], rest[seen])
                found[unseen] = model.predict(components[pairs.line[unseen]])
        return found

    return fit


def _pooled(new_model: Callable[[int], Any]) -> Fit:
    """One model for all drugs, over the components of the lines and factors of the drugs.

    A drug's factors are the leading singular vectors of the training pairs' rest; a drug
    that was never seen has zeros.
    """

    def fit(
        components: Floats, rest: Floats, train: NDArray[np.bool_], pairs: Pairs, seed: int
    ) -> Floats:
        table = np.zeros((len(components), int(pairs.drug.max()) + 1))
        table[pairs.line[train], pairs.drug[train]] = rest[train]
        _, strength, axes = np.linalg.svd(table, full_matrices=False)
        factors = (strength[:, None] * axes)[:N_DRUG_FACTORS].T
        X = np.hstack([components[pairs.line][:, :50], factors[pairs.drug]])
        found: Floats = new_model(seed).fit(X[train], rest[train]).predict(X)
        return found

    return fit


MODELS: Final[dict[str, Fit]] = {
    "ridge": _by_drug(lambda _: Ridge(alpha=3000.0)),
    "elastic-net": _by_drug(lambda _: ElasticNet(alpha=0.05, l1_ratio=0.2, max_iter=5000)),
    "random-forest": _pooled(
        lambda seed: RandomForestRegressor(
            30, max_samples=0.1, min_samples_leaf=5, max_features=0.3, random_state=seed
        )
    ),
    "boosted": _pooled(
        lambda seed: HistGradientBoostingRegressor(
            max_iter=150, early_stopping=False, random_state=seed
        )
    ),
}
"""By name; each explains what the mean effects leave."""
