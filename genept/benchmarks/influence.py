"""What each gene, cell or donor adds to a score, and p values of paired differences from that.

A score is close to a sum over the units that were drawn independently; pairs and terms that share
a gene count with it. Scores under resampling are in `genept.benchmarks.resampling`.
"""

from collections.abc import Callable, Iterable
from math import sqrt
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import erfc

from genept.benchmarks.scores import Floats, Indices

N_EXCHANGES: Final = 4_999
"""Random exchanges of two representations, of which a p value is made."""

TAIL: Final = 3.18
"""Largest ratio of the tail of a sum with random signs to that of a normal variable of the same
variance (Bentkus and Dzindzalieta 2015): what the exchanges are too few for is bounded by it."""


def area(truth: NDArray[np.bool_], score: Floats) -> float:
    """Area under the ROC curve; ties count half."""
    members, others = int(truth.sum()), int((~truth).sum())
    from scipy.stats import rankdata  # imported where it is used: it takes longer than a lookup

    won = float(rankdata(score)[truth].sum()) - members * (members + 1) / 2
    return won / (members * others)


def placements(truth: NDArray[np.bool_], score: NDArray[Any]) -> Floats:
    """Share of the other class that each row is on the right side of; ties count half.

    Its mean over either class is the area under the ROC curve.

    Parameters
    ----------
    truth, score
        Class and score of each row, shape (n,); both classes occur.
    """
    members, others = np.sort(score[truth]), ~truth
    # How many members are below each row, and how many are below it or tied.
    below, reached = (np.searchsorted(members, score, side) for side in ("left", "right"))
    placed = np.empty(len(truth))
    placed[others] = 1 - (below + reached)[others] / (2 * len(members))
    first = below[truth]
    beaten = sum(
        np.cumsum(np.bincount(ranks[others], minlength=len(members) + 1))[first]
        for ranks in (reached, below)
    )
    placed[truth] = beaten / (2 * int(others.sum()))
    return placed


def area_influence(
    truth: NDArray[np.bool_], score: NDArray[Any], fold: Indices
) -> tuple[float, Floats]:
    """The mean area over folds with both classes, and what each row adds to it, which sums to 0.

    How much the area changes when a row counts more often, to first order (DeLong et al. 1988).
    """
    influence, areas = np.zeros(len(truth)), []
    for number in np.flatnonzero(np.bincount(fold)):
        rows = np.flatnonzero(fold == number)
        of_fold = truth[rows]
        n_positive = int(of_fold.sum())
        if not 0 < n_positive < len(rows):
            continue
        placed = placements(of_fold, score[rows])
        areas.append(float(placed[of_fold].mean()))
        size = np.where(of_fold, n_positive, len(rows) - n_positive)
        influence[rows] = (placed - areas[-1]) / size
    if not areas:
        raise ValueError("no fold has both classes: an area under the curve is undefined")
    return float(np.mean(areas)), influence / len(areas)


class ScoredTerm(NamedTuple):
    """One of many terms: rows of the genes that are scored, shape (n,), and their scores."""

    name: str
    rows: Indices
    is_member: NDArray[np.bool_]
    score: NDArray[Any]
    fold: NDArray[np.int64]


def gene_values(terms: Iterable[ScoredTerm], n_genes: int) -> tuple[dict[str, float], Floats]:
    """Area of each term, and a value of each gene whose mean is the mean area over terms.

    Drawing genes draws all terms at once: terms that share genes are not independent. The values
    are those of the infinitesimal jackknife.

    Returns
    -------
    tuple of dict and NDArray
        Areas by term; values by gene, shape (n_genes,), NaN for a gene that no term scores.
    """
    influence, is_scored, areas = np.zeros(n_genes), np.zeros(n_genes, bool), dict[str, float]()
    for term in terms:
        areas[term.name], of_rows = area_influence(term.is_member, term.score, term.fold)
        influence[term.rows] += of_rows
        is_scored[term.rows] = True
    n_scored = int(is_scored.sum())
    values = np.mean(list(areas.values())) + n_scored * influence / len(areas)
    return areas, np.where(is_scored, values, np.nan)


def row_influence(metric: str, rows: pl.DataFrame) -> Floats:
    """What each row of predictions adds to a metric of `genept.benchmarks.resampling.METRICS`."""
    if metric == "auroc":
        truth, score = (rows["truth"] == "1").to_numpy(), rows["score"].to_numpy()
        return area_influence(truth, score, rows["fold"].to_numpy())[1]
    if metric == "mean_auroc":
        values = rows["score"].to_numpy()
        of_class, n_classes = np.zeros(len(values), np.intp), 1
    else:
        values = (rows["truth"] == rows["predicted"]).to_numpy().astype(np.float64)
        of_class, n_classes = np.zeros(len(values), np.intp), 1
        if metric == "balanced_accuracy":
            names, of_class = np.unique(rows["truth"].to_numpy().astype(str), return_inverse=True)
            n_classes = len(names)
    sizes = np.bincount(of_class)
    means = np.bincount(of_class, values) / sizes
    influence: Floats = (values - means[of_class]) / (sizes[of_class] * n_classes)
    return influence


def confusion_influence(statistic: Callable[[NDArray[Any]], float], confusion: Indices) -> Floats:
    """How much a score of a confusion table changes when a row of each cell counts more often."""
    counts = confusion.astype(np.float64)
    changes = np.zeros(counts.shape)
    for cell in np.argwhere(confusion > 0):
        sides = []
        for step in (0.5, -0.5):
            moved = counts.copy()
            moved[tuple(cell)] += step
            sides.append(statistic(moved))
        changes[tuple(cell)] = sides[0] - sides[1]
    return changes


def exchange_p(differences: Floats, by_unit: Floats, seed: int = 0) -> Floats:
    """Two-sided p values of paired differences: how often exchanging sides gives as much.

    If two representations were as good as each other, which of them a unit favours would be a toss
    of a coin for each unit. No difference of few units can be significant: with n of them, p is
    at least about 2 / 2 ** n. All differences share the tosses.

    Parameters
    ----------
    differences
        Differences of two scores each, shape (k,).
    by_unit
        What each unit adds to each beyond the mean, shape (n, k).
    seed
        Of the exchanges.
    """
    n_units = len(by_unit)
    added = by_unit + differences / n_units
    spread = np.sqrt((added**2).sum(axis=0))
    rng = np.random.default_rng(seed)
    of_units = added.astype(np.float32)
    reached, left = np.zeros(len(differences), np.int64), N_EXCHANGES
    while left:
        n = min(left, max(1, 10_000_000 // n_units))
        signs = rng.integers(0, 2, (n, n_units), dtype=np.int8) * np.float32(2) - 1
        sums = np.abs(signs @ of_units)
        reached += (sums >= np.abs(differences) * (1 - 1e-5)).sum(axis=0)
        left -= n
    undecided = (spread == 0) | (differences == 0)
    size = np.abs(differences) / np.where(undecided, 1, spread)
    bound = np.where(undecided, 1.0, TAIL * erfc(size / sqrt(2)))
    drawn = np.where(undecided, 1.0, (reached + 1) / (N_EXCHANGES + 1))
    return np.minimum(1.0, np.minimum(drawn, bound))
