"""Scores of predicted drug responses, and the comparison of representations on one screen.

Scores subtract what a drug's mean alone predicts (DrEval, Nat Commun 2026), which otherwise makes
any model look good. Intervals are bootstrapped over whole groups of cell lines. How train and test
are kept apart in the full benchmark is in `genept.models.drug_response.regimes`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genept.benchmarks import (
    Floats,
    Indices,
    bootstrap_totals,
    group_codes,
    group_draws,
    pearson_score,
    percentiles,
)
from genept.models.drug_response import screen_rows
from genept.models.drug_response.predictors import DRUG_MEAN, Mask, ResponsePairs
from genept.models.evidence import Interval, Labels
from genept.models.splits import grouped_folds
from genept.models.training import score_rows

N_RESAMPLES: Final = 500
N_RESAMPLES_PER_DRUG: Final = 100
N_FOLDS: Final = 5
PERMUTED_FEATURES: Final = "permuted-features"
RANDOM_EMBEDDING: Final = "random-embedding"
CONTROL_FEATURES: Final = (PERMUTED_FEATURES, RANDOM_EMBEDDING)
_TINY: Final = 1e-9


class StratifiedPearson:
    """Pearson's correlation of `x` and `y` within each stratum, for any weights of the rows."""

    def __init__(self, x: Floats, y: Floats, strata: NDArray[Any]) -> None:
        _, self._codes = np.unique(strata, return_inverse=True)
        n = np.bincount(self._codes)
        # Centred by stratum: nothing is lost to rounding when sums of squares are subtracted.
        x, y = (v - (np.bincount(self._codes, v) / n)[self._codes] for v in (x, y))
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


class StratifiedSpearman:
    """Spearman's correlation of `x` and `y` within each stratum, for any weights of the rows.

    Sorts once; a resample of lines then only changes how often each row counts,
    so that its exact mid-ranks are differences of one running sum.
    """

    def __init__(self, x: Floats, y: Floats, strata: NDArray[Any]) -> None:
        self.strata, codes = np.unique(strata, return_inverse=True)
        self.rows: Indices = np.argsort(codes, kind="stable")
        self._codes = codes[self.rows]
        self._starts = np.flatnonzero(np.diff(self._codes, prepend=-1))
        self._sizes = np.diff(self._starts, append=len(codes))
        self._x, self._y = (self._ranking(values[self.rows]) for values in (x, y))

    def _ranking(self, values: Floats) -> tuple[Indices, Indices, Indices]:
        """Rows in ascending order, and for each row where its run of ties begins and ends."""
        order = np.lexsort((values, self._codes))
        run_starts = np.diff(values[order], prepend=np.nan) != 0
        run_starts[self._starts] = True
        begins = np.flatnonzero(run_starts)
        ends = np.append(begins[1:], len(order))
        run = np.cumsum(run_starts) - 1
        begin, end = np.empty_like(order), np.empty_like(order)
        begin[order], end[order] = begins[run], ends[run]
        return order, begin, end

    def _centred_ranks(self, ranking: tuple[Indices, Indices, Indices], weights: Floats) -> Floats:
        order, begin, end = ranking
        running = np.concatenate([[0.0], np.cumsum(weights[order])])
        ranks = running[begin] + running[end]
        totals = np.maximum(np.add.reduceat(weights, self._starts), 1)
        means = np.add.reduceat(weights * ranks, self._starts) / totals
        centred: Floats = ranks - np.repeat(means, self._sizes)
        return centred

    def correlations(self, weights: Floats) -> Floats:
        """Correlation per stratum, in the order of `strata`; NaN where it is undefined.

        `weights` are how often each row counts, in the order in which rows were given.
        """
        weights = weights[self.rows]
        a = self._centred_ranks(self._x, weights)
        b = self._centred_ranks(self._y, weights)
        weighted = weights * a
        ab = np.add.reduceat(weighted * b, self._starts)
        spread = np.add.reduceat(weighted * a, self._starts) * np.add.reduceat(
            weights * b * b, self._starts
        )
        # Ranks are halves of integers: a spread this small is a constant, rounded.
        defined = spread > 1e-9
        return np.where(defined, ab / np.sqrt(np.where(defined, spread, 1.0)), np.nan)


def _median_interval(
    within: StratifiedPearson | StratifiedSpearman, codes: Indices, draws: Iterable[Indices]
) -> tuple[float, float]:
    """Interval of the median over strata under draws of groups; `codes` has the group of each row.

    A stratum that a resample leaves without two different values is left out of its median.
    """
    counts = (np.bincount(drawn, minlength=codes.max() + 1)[codes] for drawn in draws)
    return percentiles([np.nanmedian(within.correlations(n.astype(np.float64))) for n in counts])


def per_drug_scores(
    measured: Floats, predicted: Floats, drug: NDArray[Any], groups: NDArray[Any], *, seed: int
) -> dict[str, Interval]:
    """Median over drugs of both correlations over lines, with 95 % intervals over groups.

    Drugs with the same prediction for all lines are left out. A metric that is undefined for
    all drugs is missing from the result.
    """
    highest, lowest = (np.full(int(drug.max()) + 1, start) for start in (-np.inf, np.inf))
    np.maximum.at(highest, drug, predicted)
    np.minimum.at(lowest, drug, predicted)
    kept = (highest - lowest > _TINY)[drug]
    if not kept.any():
        return {}
    codes, n_groups = group_codes(groups)
    rows = (measured[kept], predicted[kept], drug[kept])
    scores: dict[str, Interval] = {}
    for name, stratified in (("pearson", StratifiedPearson), ("spearman", StratifiedSpearman)):
        within = stratified(*rows)
        value = float(np.nanmedian(within.correlations(np.ones(int(kept.sum())))))
        if np.isfinite(value):
            draws = group_draws(n_groups, N_RESAMPLES_PER_DRUG, seed)
            low, high = _median_interval(within, codes[kept], draws)
            scores[f"median_per_drug_{name}"] = Interval(
                value=value, low=low, high=high, n=len(measured)
            )
    return scores


def median_spearman_score(
    x: Floats, y: Floats, drug: NDArray[Any], groups: NDArray[Any], *, seed: int
) -> Interval:
    """Median over drugs of Spearman's correlation, with its interval over groups.

    Raises
    ------
    ValueError
        Where the correlation of a whole drug is undefined; for fewer than two groups.
    """
    spearman = StratifiedSpearman(x, y, drug)
    codes, n_groups = group_codes(groups)
    observed = spearman.correlations(np.ones(len(codes)))
    if np.isnan(observed).any():
        undefined = spearman.strata[np.isnan(observed)]
        raise ValueError(
            f"Spearman's correlation is undefined in {len(undefined)} strata, such as "
            f"{undefined[0]!s}: the values do not vary; leave them out and count them"
        )
    low, high = _median_interval(spearman, codes, group_draws(n_groups, N_RESAMPLES, seed))
    return Interval(value=float(np.median(observed)), low=low, high=high, n=len(codes))


def pooled_scores(
    measured: Floats, predicted: Floats, naive: Floats, covered: Mask, groups: Labels, *, seed: int
) -> dict[str, Interval]:
    """Scores over all pairs: ``normalised_pearson``, ``rmse`` and ``interval_coverage``.

    ``normalised_pearson`` correlates what is left of truth and prediction after `naive`; it is 0
    by definition, without an interval, where nothing is left of the prediction. `naive` needs no
    model, such as the drug's mean; `covered` is whether each response lies in its prediction
    interval; `groups` are the units of resampling: what the split leaves out.
    """
    n = len(measured)
    squares = (measured - predicted) ** 2
    sums = np.stack([np.ones(n), squares, covered], axis=1)

    def score(value: float, of_totals: Callable[[Floats], Floats]) -> Interval:
        low, high = bootstrap_totals(of_totals, sums, groups, seed=seed)
        return Interval(value=value, low=low, high=high, n=n)

    left = predicted - naive
    pearson = Interval(value=0.0, n=n)
    if np.ptp(left) > _TINY:
        pearson = Interval.of(pearson_score(measured - naive, left, groups, seed=seed))
    return {
        "normalised_pearson": pearson,
        "rmse": score(float(np.sqrt(squares.mean())), lambda t: np.sqrt(t[:, 1] / t[:, 0])),
        "interval_coverage": score(float(covered.mean()), lambda t: t[:, 2] / t[:, 0]),
    }


def response_scores(
    pairs: ResponsePairs,
    predicted: Floats,
    naive: Floats,
    covered: Mask,
    groups: Labels,
    *,
    seed: int,
) -> dict[str, Interval]:
    """Every metric of one prediction: those over all pairs, and medians over drugs."""
    pooled = pooled_scores(pairs.value, predicted, naive, covered, groups, seed=seed)
    return pooled | per_drug_scores(pairs.value, predicted, pairs.drug, groups, seed=seed)


def compare_representations(
    screen: screen_rows.ScreenRows,
    representations: Mapping[str, NDArray[np.float32]],
    *,
    published: str,
    controls: Collection[str],
    seed: int,
) -> list[dict[str, Any]]:
    """Score every representation and its controls by the same ridge on the same folds.

    ``median_per_drug_spearman`` is of what the drug's mean leaves, and leaves out drugs for which
    the model abstained; the other metrics count every response.

    Parameters
    ----------
    representations
        By name, features of the lines, shape (lines, features).
    published
        The representation whose rows are permuted for the control ``permuted-features``.
    controls
        Representations that are baselines, such as a random space.
    """
    if absent := {published, *controls} - set(representations):
        raise ValueError(
            f"{sorted(absent)} are not among the representations {sorted(representations)}"
        )
    order = np.random.default_rng(seed).permutation(len(screen.ids))
    features = {**representations, PERMUTED_FEATURES: representations[published][order]}
    folds = grouped_folds(screen.members, None, N_FOLDS, seed)
    results = {
        name: screen_rows.predict_representation(screen, matrix, folds, seed=seed)
        for name, matrix in features.items()
    }
    mean = results[DRUG_MEAN] = screen_rows.predict_drug_mean(screen, folds)
    control = {*controls, DRUG_MEAN, PERMUTED_FEATURES}
    rows: list[dict[str, Any]] = []
    for name, result in results.items():
        scores = comparison_scores(screen, result, mean.prediction, seed=seed)
        rows += score_rows(scores, name, is_control=name in control)
    return rows


def comparison_scores(
    screen: screen_rows.ScreenRows, result: screen_rows.OutOfFold, naive: Floats, *, seed: int
) -> dict[str, Interval]:
    """Scores of one representation; without a Spearman correlation where it is the drug's mean."""
    pairs = screen.pairs
    groups = np.asarray(screen.members)[pairs.line]
    scores = pooled_scores(
        pairs.value, result.prediction, naive, result.covers(pairs.value), groups, seed=seed
    )
    if np.array_equal(result.prediction, naive):
        return scores
    kept = ~np.isin(pairs.drug, np.unique(pairs.drug[result.abstained]))
    measured, predicted = ((values - naive)[kept] for values in (pairs.value, result.prediction))
    spearman = median_spearman_score(measured, predicted, pairs.drug[kept], groups[kept], seed=seed)
    first = {"normalised_pearson": scores.pop("normalised_pearson")}
    return first | {"median_per_drug_spearman": spearman} | scores
