"""Drug response: a planted signal is found within drug, noise is at chance, intervals cover."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV

from genept.embeddings.representations import EXPRESSION
from genept.models.drug_response.evaluation import (
    StratifiedSpearman,
    compare_representations,
    comparison_scores,
    median_spearman_score,
)
from genept.models.drug_response.pipeline import PENALTIES, fit_ridge
from genept.models.drug_response.screen_rows import (
    ScreenRows,
    predict_drug_mean,
    predict_representation,
    response_pairs,
)
from genept.models.splits import grouped_folds, refuse_group_leak
from genept.models.training import evaluation_table
from genept.schema.tables import TABLES


def screen(n_lines=200, n_drugs=12, strength=1.0, seed=0, missing=0.15):
    """Low-rank expression, drugs that read it, drug means that differ by far more."""
    rng = np.random.default_rng(seed)
    state = rng.normal(size=(n_lines, 5))
    X = state @ rng.normal(size=(5, 80)) + 0.5 * rng.normal(size=(n_lines, 80))
    Y = strength * state @ rng.normal(size=(5, n_drugs)) + rng.normal(size=(n_lines, n_drugs))
    Y += 20 * rng.uniform(-0.5, 0.5, n_drugs)
    lines = [f"line-{row:03}" for row in range(n_lines)]
    line, drug = np.nonzero(rng.random(Y.shape) > missing)
    responses = pl.DataFrame(
        {
            "observation_id": [lines[row] for row in line],
            "drug_id": [f"drug-{column}" for column in drug],
            "value": Y[line, drug],
        }
    )
    return X.astype(np.float32), lines, responses


def in_memory(X, lines, responses, groups=None):
    """The screen as the lake hands it over, and the fold of each line."""
    ids = np.array(lines)
    drugs, pairs = response_pairs(ids, ids, responses)
    members = list(lines if groups is None else groups)
    rows = ScreenRows(ids, members, np.array(members), ids, {EXPRESSION: X}, drugs, pairs)
    return rows, grouped_folds(members, None, 5, 0)


def predict(X, lines, responses, groups=None):
    rows, folds = in_memory(X, lines, responses, groups)
    return rows, folds, predict_representation(rows, X, folds, seed=0)


def scores(rows, folds, result):
    return comparison_scores(rows, result, predict_drug_mean(rows, folds).prediction, seed=3)


def test_a_planted_signal_is_found_and_the_interval_covers():
    scored = scores(*predict(*screen()))
    assert scored["normalised_pearson"].low > 0.8
    assert scored["median_per_drug_spearman"].low > 0.7
    assert scored["interval_coverage"].low - 0.02 < 0.9
    assert scored["interval_coverage"].high + 0.02 > 0.9
    assert 0.9 < scored["rmse"].value < 1.3  # the noise has standard deviation 1


def test_noise_is_at_chance_though_drug_means_differ():
    rows, folds, result = predict(*screen(strength=0.0, n_lines=150))
    assert np.corrcoef(rows.pairs.value, result.prediction)[0, 1] > 0.9
    scored = scores(rows, folds, result)
    for metric in ("normalised_pearson", "median_per_drug_spearman"):
        assert scored[metric].low < 0 < scored[metric].high


def test_the_drug_mean_scores_zero_and_has_no_undefined_metric():
    rows, folds = in_memory(*screen(n_lines=60))
    result = predict_drug_mean(rows, folds)
    scored = scores(rows, folds, result)
    assert scored["normalised_pearson"].value == 0.0
    assert scored["normalised_pearson"].low is None
    assert set(scored) == {"normalised_pearson", "rmse", "interval_coverage"}
    assert not result.abstained.any()
    for drug, fold in ((0, 0), (3, 2)):
        of_drug, in_fold = rows.pairs.drug == drug, folds[rows.pairs.line] == fold
        expected = rows.pairs.value[of_drug & ~in_fold].mean()
        assert result.prediction[of_drug & in_fold] == pytest.approx(expected)


def test_groups_stay_whole_and_test_lines_are_not_seen():
    X, lines, responses = screen(n_lines=100)
    groups = [f"patient-{row // 2}" for row in range(100)]
    rows, folds, before = predict(X, lines, responses, groups)
    refuse_group_leak(groups, folds)
    fold = folds[rows.pairs.line]
    row = int(rows.pairs.line[np.argmax(fold == 1)])
    changed = X.copy()
    changed[row] *= 50
    values = pl.when(pl.col("observation_id") == lines[row]).then(9.0).otherwise("value")
    other = responses.with_columns(values.alias("value"))
    _, _, after = predict(changed, lines, other, groups)
    same_fold = (fold == 1) & (rows.pairs.line != row)
    for attribute in ("prediction", "reach"):
        first, again = getattr(before, attribute), getattr(after, attribute)
        np.testing.assert_allclose(first[same_fold], again[same_fold], atol=1e-6)
    assert np.abs(before.prediction - after.prediction)[fold != 1].max() > 1e-3


def test_the_ridge_is_scikit_learns():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(90, 12)) * np.linspace(5, 0.2, 12) + 3
    y = Z @ rng.normal(size=12) + 4 * rng.normal(size=90)
    centre, coefficients, errors = fit_ridge(Z[:60], y[:60])
    deviation = (Z[60:] - centre) @ coefficients
    mean_square = ((Z[:60] - Z[:60].mean(axis=0)) ** 2).sum() / 12
    reference = RidgeCV(alphas=PENALTIES * mean_square, store_cv_results=True).fit(Z[:60], y[:60])
    np.testing.assert_allclose(deviation + y[:60].mean(), reference.predict(Z[60:]))
    best = reference.cv_results_.mean(axis=0).argmin()
    np.testing.assert_allclose(errors**2, reference.cv_results_[:, best])


def test_few_training_lines_mean_the_drug_mean_and_abstention():
    X, lines, responses = screen(n_lines=120)
    few = responses.filter(
        (pl.col("drug_id") != "drug-4") | (pl.int_range(pl.len()).over("drug_id") < 25)
    )
    rows, folds, result = predict(X, lines, few)
    assert (result.abstained == (rows.drugs[rows.pairs.drug] == "drug-4")).all()
    mean = predict_drug_mean(rows, folds).prediction
    assert (result.prediction == mean)[result.abstained].all()
    assert (result.reach > 0).all()


def test_a_drug_measured_in_one_line_is_refused_by_name():
    X, lines, responses = screen(n_lines=60, n_drugs=3)
    first = pl.int_range(pl.len()).over("drug_id") == 0
    once = responses.filter((pl.col("drug_id") != "drug-2") | first)
    with pytest.raises(ValueError, match="drug-2 is measured in 0 lines outside fold"):
        predict(X, lines, once)


def run(X, lines, responses, published="expression"):
    noise = np.random.default_rng(5).normal(size=X.shape).astype(np.float32)
    screened, _ = in_memory(X, lines, responses)
    features = {"expression": X, "random-80": noise}
    rows = compare_representations(
        screened, features, published=published, controls={"random-80"}, seed=2023
    )
    return evaluation_table(rows, "drug-response", "v1", "gdsc", "5")


def test_the_table_is_as_declared_and_controls_stand_beside_the_model():
    evaluations = run(*screen(n_lines=120))
    table = TABLES["model_evaluations"]
    assert evaluations.schema == pl.from_arrow(table.schema().empty_table()).schema
    assert not evaluations.select(table.key).is_duplicated().any()
    pearson = evaluations.filter(metric="normalised_pearson").rows_by_key(
        "representation", named=True, unique=True
    )
    assert pearson["expression"]["ci_low"] > 0.7
    for control in ("random-80", "permuted-features"):
        assert pearson[control]["ci_low"] < 0.05
        assert pearson[control]["value"] < 0.15
    assert {name for name, row in pearson.items() if row["is_control"]} == {
        "random-80",
        "permuted-features",
        "drug-mean",
    }


def test_the_same_seed_gives_the_same_predictions():
    X, lines, responses = screen(n_lines=80, n_drugs=4)
    # Columns in another order add up in another order, and mean the same.
    reordered = X[:, np.random.default_rng(1).permutation(X.shape[1])]
    first, again, rounded = (
        predict(features, lines, responses)[2].prediction for features in (X, X, reordered)
    )
    np.testing.assert_allclose(first, again, atol=1e-12)
    np.testing.assert_allclose(first, rounded, atol=1e-6)


def test_bad_input_is_refused():
    X, lines, responses = screen(n_lines=60, n_drugs=3)

    with pytest.raises(ValueError, match="2 responses repeat"):
        predict(X, lines, pl.concat([responses, responses.head(1)]))
    bad = responses.with_columns(
        pl.when(pl.int_range(pl.len()) == 8).then(float("nan")).otherwise("value").alias("value")
    )
    first = responses.row(8, named=True)
    with pytest.raises(ValueError, match=f"{first['observation_id']} to {first['drug_id']}"):
        predict(X, lines, bad)
    with pytest.raises(ValueError, match="no features, such as line-007"):
        predict(X[np.arange(60) != 7], [*lines[:7], *lines[8:]], responses)
    with pytest.raises(ValueError, match="'both'"):
        run(X, lines, responses, published="both")
    features = X.copy()
    features[4, 4] = np.nan
    with pytest.raises(ValueError, match="row 4"):
        predict(features, lines, responses)
    rows, folds = in_memory(X, lines, responses)
    with pytest.raises(ValueError, match="expected features of 60 rows"):
        predict_representation(rows, X[1:], folds, seed=0)
    with pytest.raises(ValueError, match="same in every row"):
        predict_representation(rows, np.ones_like(X), folds, seed=0)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)), min_size=6, max_size=25
    )
)
def test_weighted_ranks_are_those_of_repeated_rows(rows):
    x, y, weights = np.asarray(rows).T
    strata = np.arange(len(x)) % 2
    correlations = StratifiedSpearman(x, y, strata).correlations(weights.astype(float))
    for stratum in (0, 1):
        repeated = np.repeat(np.arange(len(x)), weights * (strata == stratum))
        if len(set(x[repeated])) > 1 and len(set(y[repeated])) > 1:
            expected = spearmanr(x[repeated], y[repeated]).statistic
            assert correlations[stratum] == pytest.approx(expected, abs=1e-9)
        else:
            assert np.isnan(correlations[stratum])


def test_median_spearman_finds_what_was_planted_and_nothing_in_noise():
    rng = np.random.default_rng(0)
    drug, line = np.repeat(np.arange(15), 80), np.tile(np.arange(80), 15)
    x, noise = rng.normal(size=(2, 1200))
    planted = median_spearman_score(x, x + noise, drug, line, seed=1)
    chance = median_spearman_score(x, noise, drug, line, seed=1)
    assert 0.5 < planted.low < planted.value < planted.high < 0.85
    assert chance.low < 0 < chance.high


def test_a_stratum_that_does_not_vary_is_refused_by_name():
    drug = np.repeat(["Afatinib", "Placebo"], 5)
    predicted = np.concatenate([np.arange(5.0), np.zeros(5)])
    with pytest.raises(ValueError, match="Placebo"):
        median_spearman_score(np.arange(10.0), predicted, drug, np.arange(10), seed=0)
