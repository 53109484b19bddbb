"""What units add to scores is the derivative of each metric; p values of exchanges keep a level."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from genept.benchmarks.influence import (
    ScoredTerm,
    area_influence,
    confusion_influence,
    exchange_p,
    gene_values,
    placements,
    row_influence,
)
from genept.benchmarks.resampling import METRICS, ORDER, paired_differences, resampled
from genept.benchmarks.scores import CLASSIFICATION_METRICS
from genept.benchmarks.task_base import predictions

RNG = np.random.default_rng(0)
N = 90
TRUTH = RNG.random(N) < 0.4
SCORE = np.round(TRUTH + RNG.normal(size=N), 1)
FOLD = np.arange(N) % 3
NAMES = [f"g{row:03}" for row in range(N)]


def rows():
    kinds = [["abc"[code] for code in RNG.integers(0, 3, N)] for _ in range(2)]
    frame = predictions(
        "m", "s", 0, NAMES, TRUTH.astype(int).astype(str).tolist(), score=SCORE,
        predicted=kinds[1],
    )  # fmt: skip
    return frame.with_columns(fold=pl.Series(FOLD)), kinds[0]


def test_placements_average_to_the_area_with_ties():
    area = roc_auc_score(TRUTH, SCORE)
    placed = placements(TRUTH, SCORE)
    assert placed[TRUTH].mean() == pytest.approx(area)
    assert placed[~TRUTH].mean() == pytest.approx(area)


@pytest.mark.parametrize("metric", METRICS)
def test_what_a_row_adds_is_the_derivative_of_the_score(metric):
    frame, kinds = rows()
    if metric in ("accuracy", "balanced_accuracy"):
        frame = frame.with_columns(truth=pl.Series(kinds))
    frame = frame.sort(ORDER)
    statistic = METRICS[metric](frame)
    added = row_influence(metric, frame)
    assert added.sum() == pytest.approx(0, abs=1e-12)
    for row in range(0, N, 7):
        more, fewer = np.ones(N), np.ones(N)
        more[row] += 1e-4
        fewer[row] -= 1e-4
        derivative = (statistic(more) - statistic(fewer)) / 2e-4
        assert added[row] == pytest.approx(derivative, abs=1e-6)


@pytest.mark.parametrize("metric", CLASSIFICATION_METRICS)
def test_what_a_cell_of_a_confusion_adds_is_the_change_of_the_score(metric):
    confusion = RNG.integers(0, 40, (4, 4))
    confusion[0, 1] = 0
    statistic = CLASSIFICATION_METRICS[metric]
    changes = confusion_influence(statistic, confusion)
    assert changes[0, 1] == 0, "there is no such row"
    assert (changes * confusion).sum() == pytest.approx(0, abs=2e-3)
    more = confusion.astype(float)
    more[2, 3] += 1
    assert changes[2, 3] == pytest.approx(statistic(more) - statistic(confusion), rel=0.2, abs=1e-4)


def test_terms_that_share_genes_are_not_independent():
    """Forty copies of one term say no more than the term itself."""
    every = np.arange(N)
    term = ScoredTerm("t", every, TRUTH, SCORE, np.zeros(N, np.int64))
    copies = [term._replace(name=f"t{copy}") for copy in range(40)]
    (areas, one), (of_copies, many) = gene_values([term], N), gene_values(copies, N)
    assert set(of_copies.values()) == set(areas.values())
    assert many == pytest.approx(one)
    assert one.mean() == pytest.approx(roc_auc_score(TRUTH, SCORE))
    by_gene = predictions("m", "s", 0, NAMES, [""] * N, score=many)
    low, high = resampled(by_gene, "mean_auroc").interval
    alone = predictions("m", "s", 0, NAMES, TRUTH.astype(int).astype(str).tolist(), score=SCORE)
    expected = resampled(alone, "auroc").interval
    assert (low, high) == pytest.approx(expected, abs=0.03)
    assert np.isnan(gene_values([term._replace(rows=every)], N + 1)[1][-1])


def test_an_area_without_both_classes_is_refused():
    with pytest.raises(ValueError, match="both classes"):
        area_influence(np.ones(4, bool), np.arange(4.0), np.zeros(4, np.int64))


def scored(noise, seed):
    rng = np.random.default_rng(seed)
    truth = np.arange(N) % 3 == 0
    labels = truth.astype(int).astype(str).tolist()
    return [
        resampled(
            predictions("m", "s", 0, NAMES, labels, score=truth + by * rng.normal(size=N)), "auroc"
        )
        for by in noise
    ]


def test_equally_good_representations_are_rarely_apart_and_better_ones_are():
    p = [
        paired_differences(dict(zip("ab", scored((1.5, 1.5), seed), strict=True)), [("a", "b")])[
            "p"
        ][0]
        for seed in range(60)
    ]
    assert np.mean(np.asarray(p) < 0.1) < 0.25
    assert min(p) > 1e-4
    better = dict(zip("ab", scored((0.3, 3.0), 1), strict=True))
    assert paired_differences(better, [("a", "b")])["p"][0] < 1e-4


def p_of(difference, by_unit):
    (p,) = exchange_p(np.array([difference]), by_unit[:, None])
    return p


def test_p_values_are_the_same_one_by_one_and_together():
    by_unit = np.random.default_rng(4).normal(size=(50, 3)) / 50
    by_unit -= by_unit.mean(axis=0)
    differences = np.array([0.1, -0.3, 0.0])
    together = exchange_p(differences, by_unit)
    assert together.tolist() == [p_of(*of) for of in zip(differences, by_unit.T, strict=True)]


def test_p_is_that_of_every_exchange_where_there_are_few_units():
    added = np.array([0.5, 0.2, 0.4, 0.3, 0.1, 0.6, 0.25, 0.15])
    difference = float(added.sum())
    p = p_of(difference, added - added.mean())
    assert p == pytest.approx(2 / 2**8, rel=0.4), "all eight favour the first"
    assert p_of(0.0, added - added.mean()) == 1
    assert p_of(0.1, np.full(4, 0.0) * 0) == pytest.approx(2 / 2**4, abs=0.03)


def test_far_beyond_the_exchanges_p_is_bounded_by_the_normal_tail():
    rng = np.random.default_rng(3)
    added = rng.normal(size=2000) / 2000
    p = p_of(8 * float(np.sqrt((added**2).sum())), added)
    assert 1e-16 < p < 1e-11
