"""Drug response in four ways of keeping train and test apart, beside all naive predictors.

Whatever the model has not seen, lines or drugs, is told by its features; the other side is
known. Models predict what is left after the mean effects. Intervals are cross-conformal over
the folds. The models themselves are in `genept.models.drug_response.predictors`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from genept.benchmarks.metrics.intervals import bootstrap_totals
from genept.benchmarks.metrics.scores import pearson_score
from genept.models.drug_response.predictors import (
    DRUG_MEAN,
    LINE_MEAN,
    MEAN_EFFECTS,
    NAIVE,
    Factors,
    Floats,
    Pairs,
    predict_table,
)
from genept.models.drug_response.within_drug import Scored, per_drug_scores
from genept.models.splits.folds import (
    Folds,
    FrozenFolds,
    Regime,
    drug_folds,
    observation_folds,
    pair_folds,
)

REGIMES: Final = (
    Regime.RANDOM_PAIRS,
    Regime.LEAVE_CELL_LINE_OUT,
    Regime.LEAVE_TISSUE_OUT,
    Regime.LEAVE_DRUG_OUT,
)
KNOWN: Final = {
    Regime.RANDOM_PAIRS: MEAN_EFFECTS,
    Regime.LEAVE_CELL_LINE_OUT: DRUG_MEAN,
    Regime.LEAVE_TISSUE_OUT: DRUG_MEAN,
    Regime.LEAVE_DRUG_OUT: LINE_MEAN,
}
"""What needs no model, by regime. How sensitive a line is to everything has to be told of a line
that was never seen, as what a drug does on average of such a drug: a model that is fitted to what
is left after both means learns neither."""
PERMUTED_FEATURES: Final = "permuted-features"
COVERAGE: Final = 0.9
N_COMPONENTS: Final = 100


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


class RegimeTest:
    """A screen's pairs in the folds of one regime; what models have in common is made once.

    Parameters
    ----------
    folds
        Fold of each pair.
    """

    def __init__(self, regime: Regime, pairs: Pairs, folds: Folds, *, seed: int) -> None:
        self.regime, self.pairs, self.folds, self.seed = regime, pairs, folds, seed
        self.of_drugs = regime is Regime.LEAVE_DRUG_OUT
        self._left: dict[int, tuple[Floats, Factors]] = {}
        self._components: dict[tuple[str, bytes], Floats] = {}

    def predict(self, name: str, what: str, features: NDArray[np.float32]) -> Floats:
        """Out-of-fold predictions of every pair: the known mean, and what is made of the rest.

        Parameters
        ----------
        name
            One of `genept.models.drug_response.predictors.MODELS`.
        what
            Name of the features.
        features
            Of the drugs if these are what was never seen, otherwise of the lines.
        """
        pairs = self.pairs
        predicted = np.empty(len(pairs.value))
        row, column = (pairs.drug, pairs.line) if self.of_drugs else (pairs.line, pairs.drug)
        for fold in np.unique(self.folds):
            test = self.folds == fold
            naive, factors = self._what_is_left(fold, row, column, len(features))
            components = self._told_by(what, features, factors.seen)
            with threadpool_limits(1):
                rest = predict_table(name, components, factors, seed=self.seed)
            predicted[test] = (naive + rest[row, column])[test]
        return predicted

    def _what_is_left(
        self, fold: int, row: NDArray[np.intp], column: NDArray[np.intp], n: int
    ) -> tuple[Floats, Factors]:
        """What needs no model, of all pairs; and the factors of the rest of the training pairs."""
        if fold not in self._left:
            train = self.folds != fold
            naive = NAIVE[KNOWN[self.regime]](self.pairs, train)
            table = np.full((n, int(column.max()) + 1), np.nan)
            table[row[train], column[train]] = (self.pairs.value - naive)[train]
            with threadpool_limits(1):
                self._left[fold] = naive, Factors.of(table, np.isin(np.arange(n), row[train]))
        return self._left[fold]

    def _told_by(self, what: str, features: NDArray[np.float32], seen: NDArray[np.bool_]) -> Floats:
        key = what, seen.tobytes()
        if key not in self._components:
            self._components[key] = principal_components(
                features, seen, standardised=not self.of_drugs, seed=self.seed
            )
        return self._components[key]


def principal_components(
    features: NDArray[np.float32], seen: NDArray[np.bool_], *, standardised: bool, seed: int
) -> Floats:
    """Components of all rows, fitted on those that are `seen`.

    Expression is standardised. Bits of fingerprints are not: one that a single training drug
    has would weigh as much as one that half of them have.
    """
    X = features.astype(np.float64)
    Z = X - X[seen].mean(axis=0)
    if standardised:
        spread = X[seen].std(axis=0)
        Z /= np.where(spread > 0, spread, 1)
    k = min(N_COMPONENTS, int(seen.sum()) - 1, X.shape[1])
    with threadpool_limits(1):
        found: Floats = PCA(k, random_state=seed).fit(Z[seen]).transform(Z)
    return found


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
        inside = np.abs(pairs.value - predicted) <= conformal_reach(pairs.value, predicted, folds)
        found = response_scores(pairs, predicted, naive, inside, groups, seed=seed)
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


def response_scores(
    pairs: Pairs,
    predicted: Floats,
    naive: Floats,
    inside: NDArray[np.bool_],
    groups: NDArray[Any],
    *,
    seed: int,
) -> dict[str, Scored]:
    """Value and 95 % interval of every metric of one prediction.

    Parameters
    ----------
    naive
        What needs no model: the mean effects, as far as they are known.
    inside
        Whether each response lies in its prediction interval.
    """
    squares = (pairs.value - predicted) ** 2
    sums = np.stack([np.ones(len(squares)), squares, inside], axis=1)
    found: dict[str, Scored] = {}
    left = predicted - naive
    found["normalised_pearson"] = (0.0, None, None)
    if np.ptp(left) > 1e-9:
        score = pearson_score(pairs.value - naive, left, groups, seed=seed)
        found["normalised_pearson"] = (score.value, score.ci_low, score.ci_high)
    low, high = bootstrap_totals(lambda t: np.sqrt(t[:, 1] / t[:, 0]), sums, groups, seed=seed)
    found["rmse"] = (float(np.sqrt(squares.mean())), low, high)
    low, high = bootstrap_totals(lambda t: t[:, 2] / t[:, 0], sums, groups, seed=seed)
    found["interval_coverage"] = (float(inside.mean()), low, high)
    return found | per_drug_scores(pairs.value, predicted, pairs.drug, groups, seed=seed)


def naive_predictions(pairs: Pairs, folds: Folds) -> dict[str, Floats]:
    """All six naive predictors, out of fold."""
    found = {name: np.empty(len(pairs.value)) for name in NAIVE}
    for fold in np.unique(folds):
        for name, predict in NAIVE.items():
            found[name][folds == fold] = predict(pairs, folds != fold)[folds == fold]
    return found
