"""The full drug-response benchmark: four ways of keeping train and test apart, and transfer.

Lines or drugs that are held out are described to the model by their features. Models predict the
residual after the mean effects; intervals are cross-conformal over the folds. Also transfer:
training on one screen, testing on unseen lines of another. The models are in
`genept.models.drug_response.predictors`.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from genept.embeddings import EXPRESSION
from genept.models.drug_response.evaluation import CONTROL_FEATURES as CONTROLS
from genept.models.drug_response.evaluation import PERMUTED_FEATURES, response_scores
from genept.models.drug_response.pipeline import (
    conformal_quantile,
    drug_codes,
    fit_pipeline,
    predict_pairs,
)
from genept.models.drug_response.predictors import (
    DRUG_MEAN,
    LINE_MEAN,
    MEAN_EFFECTS,
    NAIVE,
    Factors,
    Floats,
    ResponsePairs,
    out_of_fold,
    predict_table,
)
from genept.models.drug_response.screen_rows import ScreenRows
from genept.models.evidence import Labels
from genept.models.holdout import ANY, FrozenFolds, Regime
from genept.models.splits import Folds, Names, connected_groups, grouped_folds
from genept.models.training import score_rows

KNOWN: Final = {
    Regime.RANDOM_PAIRS: MEAN_EFFECTS,
    Regime.LEAVE_CELL_LINE_OUT: DRUG_MEAN,
    Regime.LEAVE_TISSUE_OUT: DRUG_MEAN,
    Regime.LEAVE_DRUG_OUT: LINE_MEAN,
}
"""Naive prediction that the models add to, by regime. The mean of what is left out, line or drug,
is not subtracted: a model fitted to what both means leave could not learn it from the features."""
REGIMES: Final = tuple(KNOWN)
N_COMPONENTS: Final = 100


def observation_folds(
    regime: Regime, ids: Names, groups: Names, leave_out: Names | None, *, n_folds: int, seed: int
) -> FrozenFolds:
    """Folds of observations, whose groups stay whole.

    `leave_out` is the study or tissue of each row, tested as a whole. A patient in two studies ties
    them together.
    """
    observations, names = (np.asarray(each, dtype=np.str_) for each in (ids, groups))
    if leave_out is not None:
        names = connected_groups(list(leave_out), list(groups))
    folds = grouped_folds(names, None, n_folds, seed)
    return FrozenFolds.of_observations(regime, observations, names, folds)


def drug_folds(drugs: Sequence[str], *, n_folds: int, seed: int) -> FrozenFolds:
    """Folds of drugs: the model has seen every line, and never the drug."""
    names = np.unique(np.asarray(drugs, dtype=np.str_))
    folds = grouped_folds(names, None, n_folds, seed)
    return FrozenFolds(Regime.LEAVE_DRUG_OUT, np.full(len(names), ANY), names, names, folds)


def pair_folds(lines: Labels, drugs: Labels, *, n_folds: int, seed: int) -> FrozenFolds:
    """Random pairs: the model has seen the line and the drug, but not together.

    Raises
    ------
    ValueError
        If a pair occurs twice.
    """
    pairs = np.char.add(np.char.add(lines, "\n"), drugs)
    if len(np.unique(pairs)) < len(pairs):
        raise ValueError("a line and drug are paired twice; average them first")
    folds = np.empty(len(pairs), dtype=np.int64)
    # Assigned in the order of their names: the order of the rows must not matter.
    folds[np.argsort(pairs)] = np.random.default_rng(seed).permutation(len(pairs)) % n_folds
    return FrozenFolds(Regime.RANDOM_PAIRS, lines, drugs, pairs, folds)


def regime_folds(
    regime: Regime, screen: ScreenRows, *, n_folds: int, seed: int
) -> tuple[FrozenFolds, Folds]:
    """The frozen folds of a regime, and the fold of each pair."""
    ids, drugs, pairs = screen.ids, screen.drugs, screen.pairs
    if regime is Regime.RANDOM_PAIRS:
        frozen = pair_folds(ids[pairs.line], drugs[pairs.drug], n_folds=n_folds, seed=seed)
        return frozen, frozen.folds
    if regime is Regime.LEAVE_DRUG_OUT:
        frozen = drug_folds(drugs.tolist(), n_folds=n_folds, seed=seed)
        return frozen, frozen.folds[pairs.drug]
    by_tissue = screen.tissues if regime is Regime.LEAVE_TISSUE_OUT else None
    frozen = observation_folds(regime, ids, screen.groups, by_tissue, n_folds=n_folds, seed=seed)
    return frozen, frozen.folds[pairs.line]


class RegimeTest:
    """A screen's pairs in the folds of one regime; what models share is computed once.

    Parameters
    ----------
    folds
        Fold of each pair.
    """

    def __init__(self, regime: Regime, pairs: ResponsePairs, folds: Folds, *, seed: int) -> None:
        self.regime, self.pairs, self.folds, self.seed = regime, pairs, folds, seed
        self.of_drugs = regime is Regime.LEAVE_DRUG_OUT
        self._factors: dict[int, tuple[Floats, Factors]] = {}
        self._components: dict[tuple[str, bytes], Floats] = {}

    def predict(self, name: str, features_name: str, features: NDArray[np.float32]) -> Floats:
        """Out-of-fold predictions of every pair: the known mean and the predicted residual.

        Parameters
        ----------
        name
            One of `genept.models.drug_response.predictors.MODELS`.
        features_name
            Name of the features.
        features
            Of the drugs if these are left out, otherwise of the lines.
        """
        pairs = self.pairs
        predicted = np.empty(len(pairs.value))
        row, column = (pairs.drug, pairs.line) if self.of_drugs else (pairs.line, pairs.drug)
        for fold in np.unique(self.folds):
            test = self.folds == fold
            naive, factors = self._residuals(fold, row, column, len(features))
            components = self._reduced(features_name, features, factors.seen)
            with threadpool_limits(1):
                rest = predict_table(name, components, factors, seed=self.seed)
            predicted[test] = (naive + rest[row, column])[test]
        return predicted

    def _residuals(
        self, fold: int, row: NDArray[np.intp], column: NDArray[np.intp], n: int
    ) -> tuple[Floats, Factors]:
        """The naive prediction of all pairs, and the factors of the training pairs' residuals."""
        if fold not in self._factors:
            train = self.folds != fold
            naive = NAIVE[KNOWN[self.regime]](self.pairs, train)
            table = np.full((n, int(column.max()) + 1), np.nan)
            table[row[train], column[train]] = (self.pairs.value - naive)[train]
            with threadpool_limits(1):
                self._factors[fold] = naive, Factors.of(table, np.isin(np.arange(n), row[train]))
        return self._factors[fold]

    def _reduced(self, name: str, features: NDArray[np.float32], seen: NDArray[np.bool_]) -> Floats:
        key = name, seen.tobytes()
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

    Parameters
    ----------
    features
        Rows × features.
    seen
        Rows that means, spreads and components are computed from, shape (rows,).
    standardised
        Whether each feature is divided by its standard deviation.
    seed
        Of the decomposition.

    Returns
    -------
    NDArray
        Rows × components.
    """
    X = features.astype(np.float64)
    Z = X - X[seen].mean(axis=0)
    if standardised:
        spread = X[seen].std(axis=0)
        Z /= np.where(spread > 0, spread, 1)
    k = min(N_COMPONENTS, int(seen.sum()) - 1, X.shape[1])
    with threadpool_limits(1):
        components: Floats = PCA(k, random_state=seed).fit(Z[seen]).transform(Z)
    return components


def conformal_reach(measured: Floats, predicted: Floats, folds: Folds) -> Floats:
    """Half width of each pair's 90 % interval: a quantile of the other folds' errors."""
    errors = np.abs(measured - predicted)
    reach = np.empty(len(errors))
    for fold in np.unique(folds):
        reach[folds == fold] = conformal_quantile(errors[folds != fold])
    return reach


def regime_scores(
    predictions: dict[str, Floats], pairs: ResponsePairs, folds: Folds, groups: Labels, *, seed: int
) -> list[dict[str, Any]]:
    """Normalised Pearson, per-drug Pearson and Spearman, RMSE and coverage of each prediction.

    ``normalised_pearson`` is of what is left of truth and prediction after the mean effects.

    Parameters
    ----------
    groups
        Unit of resampling of each pair: what the regime leaves out.
    """
    naive = out_of_fold(MEAN_EFFECTS, pairs, folds)
    rows: list[dict[str, Any]] = []
    for name, predicted in predictions.items():
        covered = np.abs(pairs.value - predicted) <= conformal_reach(pairs.value, predicted, folds)
        scores = response_scores(pairs, predicted, naive, covered, groups, seed=seed)
        rows += score_rows(scores, name, is_control=name in NAIVE or name in CONTROLS)
    return rows


def transfer_scores(
    source: ScreenRows, target: ScreenRows, *, n_folds: int, seed: int
) -> list[dict[str, Any]]:
    """Train on one screen, score on the other: always on lines that training did not see.

    Every line is tested in one fold, by the model of the others; lines that only the target has
    measured have scores of their own (``new_lines_…``), if there are two of them. Only drugs of
    one name in both are scored. What is left of truth and prediction is measured from the drug's
    mean in the source: a shift between the screens counts as an error, but not within a drug.

    Returns
    -------
    list of dict
        Rows as of `score_rows`.

    Raises
    ------
    ValueError
        If the screens do not have the same lines in the same order, or share no drug.
    """
    if not np.array_equal(source.ids, target.ids):
        raise ValueError("the two screens must be of the same collection of lines")
    shared = np.isin(target.drugs, source.drugs)[target.pairs.drug]
    if not shared.any():
        raise ValueError("the two screens share no drug of one name")
    folds = grouped_folds(source.groups, None, n_folds, seed)
    naive, predicted, permuted = (np.zeros(len(shared)) for _ in range(3))
    codes = drug_codes(target.drugs.tolist())[target.pairs.drug]
    features = source.features[EXPRESSION]
    shuffled = features[np.random.default_rng(seed).permutation(len(features))]
    for fold in range(n_folds):
        train = folds[source.pairs.line] != fold
        test = shared & (folds[target.pairs.line] == fold)
        for result, matrix in ((predicted, features), (permuted, shuffled)):
            pipeline = fit_pipeline(matrix, source.drugs, source.pairs, train, seed=seed)
            inputs = (matrix, target.pairs.line[test], codes[test])
            result[test] = predict_pairs(pipeline, *inputs)[0]
        naive[test] = _source_means(source, target, train)[test]
    results = {EXPRESSION: predicted, PERMUTED_FEATURES: permuted, DRUG_MEAN: naive}
    measured_in_source = np.isin(target.pairs.line, source.pairs.line)
    rows: list[dict[str, Any]] = []
    for prefix, mask in (("", measured_in_source), ("new_lines_", ~measured_in_source)):
        scored = shared & mask
        pairs = target.pairs.take(scored)
        groups = target.groups[pairs.line]
        if len(np.unique(groups)) < 2:
            continue
        no_interval = np.zeros(len(groups), dtype=np.bool_)
        for name, result in results.items():
            scores = response_scores(
                pairs, result[scored], naive[scored], no_interval, groups, seed=seed
            )
            scores.pop("interval_coverage")
            rows += score_rows(scores, name, is_control=name != EXPRESSION, prefix=prefix)
    return rows


def _source_means(source: ScreenRows, target: ScreenRows, train: NDArray[np.bool_]) -> Floats:
    """Mean in the source of each target pair's drug; NaN for a drug that it does not have."""
    drugs, values = source.pairs.drug[train], source.pairs.value[train]
    n = len(source.drugs)
    means = np.bincount(drugs, values, n) / np.maximum(np.bincount(drugs, minlength=n), 1)
    of_drug = dict(zip(source.drugs.tolist(), means.tolist(), strict=True))
    of_target = [of_drug.get(drug, np.nan) for drug in target.drugs.tolist()]
    return np.asarray(of_target)[target.pairs.drug]
