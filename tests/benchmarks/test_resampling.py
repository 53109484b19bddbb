"""Resampled scores agree with scikit-learn, pairs count by both genes, and Holm by hand."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    precision_recall_fscore_support,
    recall_score,
    roc_auc_score,
)

from genept.benchmarks.reports.leaderboard_figures import in_words
from genept.benchmarks.resampling import (
    METRICS,
    folded_auroc,
    paired_differences,
    resampled,
    resampled_labels,
)
from genept.benchmarks.runs.leaderboard import corrected, holm
from genept.benchmarks.scores import CLASSIFICATION_METRICS
from genept.benchmarks.task_base import predictions

rows = st.lists(
    st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 3)), min_size=8, max_size=40
)


@settings(max_examples=40, deadline=None)
@given(rows=rows, n_folds=st.integers(1, 3))
def test_weights_stand_for_repeated_rows(rows, n_folds):
    truth, score, weights = (np.asarray(column) for column in zip(*rows, strict=True))
    fold = np.arange(len(rows)) % n_folds
    expected = []
    for number in range(n_folds):
        of = np.repeat(np.arange(len(rows)), weights * (fold == number))
        if len(set(truth[of])) == 2:
            expected.append(roc_auc_score(truth[of], score[of]))
    area = folded_auroc(truth, score.astype(float), fold)(weights.astype(float))
    assert area == pytest.approx(np.mean(expected)) if expected else np.isnan(area)


labels = st.sampled_from(["B", "NK", "T"])


@settings(max_examples=40, deadline=None)
@given(pairs=st.lists(st.tuples(labels, labels), min_size=3, max_size=30))
def test_classification_agrees_with_scikit_learn(pairs):
    truth, predicted = (np.array(side) for side in zip(*pairs, strict=True))
    scores = resampled_labels(
        truth, predicted, range(len(truth)), list(CLASSIFICATION_METRICS), seed=0
    )
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, predicted, average="macro", zero_division=0
    )
    balanced = recall_score(
        truth, predicted, labels=sorted(set(truth.tolist())), average="macro", zero_division=0
    )
    expected = dict(
        zip(CLASSIFICATION_METRICS, [accuracy_score(truth, predicted), balanced], strict=False),
        macro_precision=precision,
        macro_recall=recall,
        macro_f1=f1,
    )
    assert {name: score.value for name, score in scores.items()} == pytest.approx(expected)


def test_nothing_to_score_is_refused():
    nothing = np.array([], dtype=np.str_)
    with pytest.raises(ValueError, match="0 predictions"):
        resampled_labels(nothing, nothing, [], ["accuracy"], seed=0)


def of_labels(truth, predicted):
    units = [f"g{row:03}" for row in range(len(truth))]
    return predictions("m", "s", 0, units, truth, predicted=predicted)


def test_accuracies_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth, predicted = (["abc"[code] for code in rng.integers(0, 3, 60)] for _ in range(2))
    frame = of_labels(truth, predicted)
    ones = np.ones(60)
    assert METRICS["accuracy"](frame)(ones) == np.mean(np.array(truth) == predicted)
    expected = balanced_accuracy_score(truth, predicted)
    assert METRICS["balanced_accuracy"](frame)(ones) == pytest.approx(expected)


def scored(score, truth, partners=None):
    units = [f"g{row:03}" for row in range(len(truth))]
    return predictions(
        "m", "s", 0, units, [str(int(label)) for label in truth], score=score, partners=partners
    )


def test_pairs_that_share_a_gene_are_not_independent():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 300)
    score = truth + rng.normal(size=300)
    alone = resampled(scored(score, truth), "auroc")
    hub = METRICS["auroc"](scored(score, truth, ["hub"] * 300))
    assert alone.value == hub(np.ones(300))
    few = [f"p{unit}" for unit in rng.integers(0, 20, 300)]
    low, high = resampled(scored(score, truth, few), "auroc").interval
    assert high - low > 1.2 * (alone.interval[1] - alone.interval[0])


def test_a_score_without_one_of_the_classes_is_refused():
    with pytest.raises(ValueError, match="undefined"):
        resampled(scored(np.arange(6.0), [1] * 6), "auroc")
    with pytest.raises(ValueError, match="two units"):
        resampled(scored(np.arange(1.0), [1]), "mean_auroc")


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_paired_differences_see_what_single_intervals_cannot():
    rng = np.random.default_rng(2)
    truth = (np.arange(200) % 2).tolist()
    shared = np.array(truth) + rng.normal(0, 1, 200)
    scores = {
        "better": resampled(scored(shared + 0.25 * np.array(truth), truth), "auroc"),
        "worse": resampled(scored(shared, truth), "auroc"),
        "similar": resampled(scored(shared + rng.normal(0, 0.3, 200), truth), "auroc"),
    }
    assert scores["better"].interval[0] < scores["worse"].interval[1]
    differences = corrected(paired_differences(scores, [("worse", "better"), ("worse", "similar")]))
    assert differences["separable"].to_list() == [True, False]
    sentences = in_words(differences.with_columns(task=pl.lit("t")))
    assert sorted("are not separable" in sentence for sentence in sentences) == [False, True]
    assert any("better is ahead of worse by 0." in sentence for sentence in sentences)


def test_a_p_value_beyond_the_approximation_is_not_printed_as_zero():
    row = {"task": "t", "representation": "a", "other": "b", "difference": 0.5, "ci_low": 0.4,
           "ci_high": 0.6, "separable": True}  # fmt: skip
    sentences = in_words(pl.DataFrame([row | {"p_holm": p} for p in (0.0, 2e-4)]))
    assert [sentence.rpartition("corrected p ")[2] for sentence in sentences] == [
        "below 1e-6",
        "0.0002",
    ]
