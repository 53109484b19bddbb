"""Diagnosis: what was planted is found, noise is at chance, nothing leaks from the test fold."""

import numpy as np
import polars as pl
import pytest

from genept.models.diagnosis import diagnose, evaluate_diagnosis, run_diagnosis
from genept.models.splits import refuse_group_leak
from genept.tables import TABLES

CLASSES = np.array(["basal", "luminal", "normal"])
NAMES = {"cohort": "c", "model": "diagnosis", "model_version": "v1", "controls": (), "seed": 3}


def cohort(n=150, d=60, strength=1.0, seed=0):
    """Two samples of each patient, nearly alike."""
    rng = np.random.default_rng(seed)
    patients = np.arange(n) // 2
    codes = patients % 3
    person = rng.normal(size=(n, d))[patients]
    X = strength * rng.normal(size=(3, d))[codes] + person + 0.05 * rng.normal(size=(n, d))
    return X.astype(np.float32), list(CLASSES[codes]), [f"p{patient}" for patient in patients]


def scores(result, groups):
    frame = evaluate_diagnosis({"x": result}, groups, **NAMES)
    return {row["metric"]: row for row in frame.iter_rows(named=True)}


def test_a_planted_signal_is_found():
    X, labels, groups = cohort()
    found = scores(diagnose(X, labels, groups, seed=0), groups)
    assert found["balanced_accuracy"]["ci_low"] > 0.9
    assert found["macro_f1"]["ci_low"] > 0.9


def test_noise_is_at_chance_though_every_patient_has_a_near_duplicate():
    X, labels, groups = cohort(strength=0.0)
    grouped = scores(diagnose(X, labels, groups, seed=0), groups)["balanced_accuracy"]
    assert grouped["ci_low"] < 1 / 3 < grouped["ci_high"]
    samples = [f"s{row}" for row in range(len(labels))]
    leaking = scores(diagnose(X, labels, samples, seed=0), samples)["balanced_accuracy"]
    assert leaking["ci_low"] > 0.7, "splitting patients must leak here, or the test shows nothing"


def test_every_sample_is_held_out_once_with_its_patient():
    X, labels, groups = cohort()
    result = diagnose(X, labels, groups, seed=0, abstain_below=0.8)
    refuse_group_leak(groups, result.fold)
    assert set(result.fold) == set(range(5))
    assert (result.abstained == (result.probability < 0.8)).all()
    assert ((result.probability >= 1 / 3) & (result.probability <= 1)).all()


def test_nothing_of_the_test_fold_reaches_the_fit():
    X, labels, groups = cohort(strength=0.3)
    before = diagnose(X, labels, groups, seed=0)
    changed = X.copy()
    row = int(np.argmax(before.fold == 2))
    changed[row] *= 1000
    after = diagnose(changed, labels, groups, seed=0)
    others = (before.fold == 2) & (np.arange(len(X)) != row)
    np.testing.assert_allclose(before.probability[others], after.probability[others], atol=1e-6)


def test_the_same_seed_gives_the_same_probabilities():
    X, labels, groups = cohort(strength=0.3)
    first, again = (diagnose(X, labels, groups, seed=5) for _ in range(2))
    np.testing.assert_allclose(first.probability, again.probability, atol=1e-6)
    assert (first.prediction == again.prediction).all()


def test_rounding_does_not_move_the_probabilities():
    X, labels, groups = cohort(strength=0.3)
    # Columns in another order add up in another order, and mean the same.
    reordered = X[:, np.random.default_rng(1).permutation(X.shape[1])]
    first, second = (diagnose(features, labels, groups, seed=5) for features in (X, reordered))
    np.testing.assert_allclose(first.probability, second.probability, atol=1e-6)


def run(**changes):
    X, labels, groups = cohort()
    noise, _, _ = cohort(strength=0.0, seed=9)
    arguments = {
        "representations": {"expression": X, "random-60": noise},
        "labels": labels,
        "groups": groups,
        "observation_ids": [f"s{row}" for row in range(len(labels))],
        "collection_id": "tcga-x",
        "published": "expression",
        "controls": {"random-60"},
        "model": "diagnosis",
        "model_version": "v1",
        "seed": 2023,
    }
    return run_diagnosis(**arguments | changes)


def test_tables_are_as_declared_and_controls_stand_beside_the_model():
    predictions, evaluations = run()
    for frame, name in (
        (predictions, "diagnosis_predictions"),
        (evaluations, "model_evaluations"),
    ):
        assert frame.schema == pl.from_arrow(TABLES[name].schema().empty_table()).schema
        assert not frame.select(TABLES[name].key).is_duplicated().any()
        assert frame.null_count().sum_horizontal().item() == 0
    balanced = evaluations.filter(metric="balanced_accuracy").rows_by_key(
        "representation", named=True, unique=True
    )
    assert balanced["expression"]["value"] > 0.9
    assert balanced["majority-class"]["value"] == pytest.approx(1 / 3, abs=0.02)
    assert balanced["permuted-labels"]["ci_low"] < 1 / 3 < balanced["permuted-labels"]["ci_high"]
    assert {name for name, row in balanced.items() if row["is_control"]} == {
        "random-60",
        "majority-class",
        "permuted-labels",
    }
    hits = (predictions["label"] == predictions["prediction"]).mean()
    accuracy = evaluations.filter(representation="expression", metric="accuracy")["value"].item()
    assert hits == accuracy


def test_bad_input_is_refused():
    X, labels, groups = cohort()
    with pytest.raises(ValueError, match="one diagnosis only, basal"):
        diagnose(X, ["basal"] * len(labels), groups, seed=0)
    with pytest.raises(ValueError, match="'hapax' in 1"):
        diagnose(X, [*labels[:-1], "hapax"], groups, seed=0)
    with pytest.raises(ValueError, match="cannot be made of 1 groups"):
        diagnose(X, labels, ["p1"] * len(labels), seed=0)
    with pytest.raises(ValueError, match="'both'"):
        run(published="both")
    with pytest.raises(ValueError, match="different samples"):
        run(observation_ids=["s"] * len(labels))
    X[7, 7] = np.nan
    with pytest.raises(ValueError, match="row 7"):
        diagnose(X, labels, groups, seed=0)
