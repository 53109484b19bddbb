"""Drug response: a planted signal is found within drug, noise is at chance, intervals cover."""

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import RidgeCV

from genept.models.drug_response.evaluation import evaluate_drug_response, run_drug_response
from genept.models.drug_response.within_drug import (
    PENALTIES,
    fit_ridge,
    predict_drug_mean,
    predict_drug_response,
)
from genept.models.splits.folds import refuse_group_leak
from genept.schema.tables import TABLES

NAMES = {"cohort": "c", "model": "drug", "model_version": "v1", "controls": (), "seed": 3}


def screen(n_lines=200, n_drugs=12, strength=1.0, seed=0, missing=0.15):
    """Low-rank expression, drugs that read it, drug means that differ by far more."""
    rng = np.random.default_rng(seed)
    state = rng.normal(size=(n_lines, 5))
    X = state @ rng.normal(size=(5, 80)) + 0.5 * rng.normal(size=(n_lines, 80))
    Y = strength * state @ rng.normal(size=(5, n_drugs)) + rng.normal(size=(n_lines, n_drugs))
    Y += 20 * rng.uniform(-0.5, 0.5, n_drugs)
    lines = [f"line-{row}" for row in range(n_lines)]
    line, drug = np.nonzero(rng.random(Y.shape) > missing)
    responses = pl.DataFrame(
        {
            "observation_id": [lines[row] for row in line],
            "drug_id": [f"drug-{column}" for column in drug],
            "value": Y[line, drug],
        }
    )
    return X.astype(np.float32), lines, responses


def scores(result, groups):
    frame = evaluate_drug_response({"x": result}, groups, **NAMES)
    return {row["metric"]: row for row in frame.iter_rows(named=True)}


def test_a_planted_signal_is_found_and_the_interval_covers():
    X, lines, responses = screen()
    found = scores(predict_drug_response(X, lines, lines, responses, seed=0), lines)
    assert found["normalised_pearson"]["ci_low"] > 0.8
    assert found["median_per_drug_spearman"]["ci_low"] > 0.7
    assert found["interval_coverage"]["ci_low"] - 0.02 < 0.9
    assert found["interval_coverage"]["ci_high"] + 0.02 > 0.9
    assert 0.9 < found["rmse"]["value"] < 1.3  # the noise has standard deviation 1


def test_noise_is_at_chance_though_drug_means_differ():
    X, lines, responses = screen(strength=0.0, n_lines=150)
    result = predict_drug_response(X, lines, lines, responses, seed=0)
    assert np.corrcoef(result.measured, result.prediction)[0, 1] > 0.9
    found = scores(result, lines)
    for metric in ("normalised_pearson", "median_per_drug_spearman"):
        assert found[metric]["ci_low"] < 0 < found[metric]["ci_high"]


def test_the_drug_mean_scores_zero_and_has_no_undefined_metric():
    _, lines, responses = screen(n_lines=60)
    result = predict_drug_mean(lines, lines, responses, seed=0)
    found = scores(result, lines)
    assert found["normalised_pearson"]["value"] == 0.0
    assert found["normalised_pearson"]["ci_low"] is None
    assert set(found) == {"normalised_pearson", "rmse", "interval_coverage"}
    assert not result.abstained.any()
    for drug, fold in (("drug-0", 0), ("drug-3", 2)):
        rows = (result.drug == drug) & (result.fold == fold)
        training = (result.drug == drug) & (result.fold != fold)
        assert result.prediction[rows] == pytest.approx(result.measured[training].mean())


def test_groups_stay_whole_and_test_lines_are_not_seen():
    X, lines, responses = screen(n_lines=100)
    groups = [f"patient-{row // 2}" for row in range(100)]
    before = predict_drug_response(X, lines, groups, responses, seed=0)
    refuse_group_leak(np.asarray(groups)[before.line], before.fold)
    row = int(before.line[np.argmax(before.fold == 1)])
    changed = X.copy()
    changed[row] *= 50
    values = pl.when(pl.col("observation_id") == lines[row]).then(9.0).otherwise("value")
    after = predict_drug_response(
        changed, lines, groups, responses.with_columns(values.alias("value")), seed=0
    )
    same_fold = (before.fold == 1) & (before.line != row)
    np.testing.assert_allclose(before.prediction[same_fold], after.prediction[same_fold], atol=1e-6)
    np.testing.assert_allclose(before.high[same_fold], after.high[same_fold], atol=1e-6)
    assert np.abs(before.prediction - after.prediction)[before.fold != 1].max() > 1e-3


def test_the_ridge_is_scikit_learns():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(90, 12)) * np.linspace(5, 0.2, 12) + 3
    y = Z @ rng.normal(size=12) + 4 * rng.normal(size=90)
    found = fit_ridge(Z[:60], y[:60])
    deviation, errors = (Z[60:] - found.centre) @ found.coefficients, found.errors
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
    result = predict_drug_response(X, lines, lines, few, seed=0)
    assert (result.abstained == (result.drug == "drug-4")).all()
    assert (result.prediction == result.naive)[result.abstained].all()
    assert (result.low < result.high).all()


def test_a_drug_measured_in_one_line_is_refused_by_name():
    X, lines, responses = screen(n_lines=60, n_drugs=3)
    first = pl.int_range(pl.len()).over("drug_id") == 0
    with pytest.raises(ValueError, match="drug-2 is measured in 0 lines outside fold"):
        predict_drug_response(
            X, lines, lines, responses.filter((pl.col("drug_id") != "drug-2") | first), seed=0
        )


def run(X, lines, responses, **changes):
    noise = np.random.default_rng(5).normal(size=X.shape).astype(np.float32)
    arguments = {
        "published": "expression",
        "controls": {"random-80"},
        "model": "drug-response",
        "model_version": "v1",
        "seed": 2023,
    }
    return run_drug_response(
        {"expression": X, "random-80": noise},
        lines,
        lines,
        responses,
        "gdsc",
        **arguments | changes,
    )


def test_tables_are_as_declared_and_controls_stand_beside_the_model():
    X, lines, responses = screen(n_lines=120)
    predictions, evaluations = run(X, lines, responses)
    for frame, name in (
        (predictions, "drug_response_predictions"),
        (evaluations, "model_evaluations"),
    ):
        assert frame.schema == pl.from_arrow(TABLES[name].schema().empty_table()).schema
        assert not frame.select(TABLES[name].key).is_duplicated().any()
    assert predictions.select("observation_id", "drug_id").equals(
        responses.select("observation_id", "drug_id")
    )
    assert predictions["measured"].equals(responses["value"], check_names=False)
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
        predict_drug_response(features, lines, lines, responses, seed=5).prediction
        for features in (X, X, reordered)
    )
    np.testing.assert_allclose(first, again, atol=1e-12)
    np.testing.assert_allclose(first, rounded, atol=1e-6)


def test_bad_input_is_refused():
    X, lines, responses = screen(n_lines=60, n_drugs=3)

    def predict(features=X, frame=responses):
        return predict_drug_response(features, lines, lines, frame, seed=0)

    with pytest.raises(ValueError, match="2 responses repeat"):
        predict(frame=pl.concat([responses, responses.head(1)]))
    bad = responses.with_columns(
        pl.when(pl.int_range(pl.len()) == 8).then(float("nan")).otherwise("value").alias("value")
    )
    who = responses.row(8, named=True)
    with pytest.raises(ValueError, match=f"{who['observation_id']} to {who['drug_id']}"):
        predict(frame=bad)
    with pytest.raises(ValueError, match="no features, such as line-7"):
        predict_drug_response(
            X[np.arange(60) != 7], [*lines[:7], *lines[8:]], lines[:59], responses, seed=0
        )
    with pytest.raises(ValueError, match="'both'"):
        run(X, lines, responses, published="both")
    features = X.copy()
    features[4, 4] = np.nan
    with pytest.raises(ValueError, match="row 4"):
        predict(features=features)
