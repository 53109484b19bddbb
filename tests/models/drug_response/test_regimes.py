"""Four regimes: naive predictors score what they must; a planted signal is found."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genept.models.drug_response.predictors import MODELS, NAIVE, ResponsePairs, filled, out_of_fold
from genept.models.drug_response.regimes import (
    REGIMES,
    RegimeTest,
    conformal_reach,
    drug_folds,
    observation_folds,
    pair_folds,
    regime_folds,
    regime_scores,
)
from genept.models.drug_response.screen_rows import ScreenRows
from genept.models.holdout import ANY, Regime

N_LINES, N_DRUGS = 90, 6
IDS = [f"o{row}" for row in range(60)]
PATIENTS = [f"p{row // 2}" for row in range(60)]


def screen():
    rng = np.random.default_rng(0)
    state = rng.normal(size=(N_LINES, 2))
    X = (state @ rng.normal(size=(2, 40)) + 0.3 * rng.normal(size=(N_LINES, 40))).astype(np.float32)
    line, drug = (
        grid.ravel() for grid in np.meshgrid(range(N_LINES), range(N_DRUGS), indexing="ij")
    )
    tissue = np.arange(N_LINES) % 9
    value = 3.0 * drug + 0.5 * tissue[line] + state[line, drug % 2] * 1.5
    value = value + 0.3 * rng.normal(size=len(line))
    keep = rng.random(len(line)) > 0.05
    lines = np.array([f"l{n:02}" for n in range(N_LINES)])
    tissues = np.array([f"t{n}" for n in tissue])
    drugs = np.array([f"d{n}" for n in range(N_DRUGS)])
    pairs = ResponsePairs(line[keep], drug[keep], tissue[line][keep], value[keep])
    return ScreenRows(lines, lines.tolist(), lines, tissues, {"expression": X}, drugs, pairs)


SCREEN = screen()
X, PAIRS = SCREEN.features["expression"], SCREEN.pairs


def test_naive_predictors_are_the_means_of_the_training_pairs():
    train = np.arange(len(PAIRS.value)) % 3 > 0
    here = int(np.flatnonzero(~train)[5])
    same = {
        "drug-mean": PAIRS.drug == PAIRS.drug[here],
        "cell-line-mean": PAIRS.line == PAIRS.line[here],
        "tissue-mean": PAIRS.tissue == PAIRS.tissue[here],
        "global-mean": np.ones(len(train), bool),
    }
    same["tissue-drug-mean"] = same["drug-mean"] & same["tissue-mean"]
    expected = {name: PAIRS.value[train & rows].mean() for name, rows in same.items()}
    expected["mean-effects"] = (
        expected["drug-mean"] + expected["cell-line-mean"] - expected["global-mean"]
    )
    predicted = {name: predict(PAIRS, train)[here] for name, predict in NAIVE.items()}
    assert predicted == pytest.approx(expected)
    unseen = PAIRS.drug != 2
    assert NAIVE["drug-mean"](PAIRS, unseen)[~unseen] == pytest.approx(PAIRS.value[unseen].mean())


@pytest.mark.parametrize("regime", REGIMES)
def test_no_regime_lets_the_model_see_what_it_is_tested_on(regime):
    _, folds = regime_folds(regime, SCREEN, n_folds=3, seed=0)
    left_out = {
        Regime.LEAVE_CELL_LINE_OUT: PAIRS.line,
        Regime.LEAVE_TISSUE_OUT: PAIRS.tissue,
        Regime.LEAVE_DRUG_OUT: PAIRS.drug,
    }
    if regime in left_out:
        for unit in np.unique(left_out[regime]):
            assert len(np.unique(folds[left_out[regime] == unit])) == 1
    rows = regime_scores(
        {name: out_of_fold(name, PAIRS, folds) for name in NAIVE},
        PAIRS,
        folds,
        PAIRS.line.astype(str),
        seed=0,
    )
    scores = {(row["representation"], row["metric"]): row["value"] for row in rows}
    assert {name for name, _ in scores} == set(NAIVE)
    assert scores["mean-effects", "normalised_pearson"] == 0
    assert all(row["is_control"] for row in rows)
    assert 0.8 < scores["drug-mean", "interval_coverage"] < 1


def pearson_of(predictions, pairs, folds):
    rows = regime_scores(predictions, pairs, folds, pairs.line.astype(str), seed=0)
    return {r["representation"]: r for r in rows if r["metric"] == "normalised_pearson"}


@pytest.mark.parametrize("name", MODELS)
def test_a_planted_signal_is_found_in_new_lines_and_not_in_shuffled_features(name):
    regime = Regime.LEAVE_CELL_LINE_OUT
    _, folds = regime_folds(regime, SCREEN, n_folds=3, seed=0)
    shuffled = X[np.random.default_rng(1).permutation(len(X))]
    test = RegimeTest(regime, PAIRS, folds, seed=0)
    seen = {"expression": X, "permuted-features": shuffled}
    predicted = {what: test.predict(name, what, features) for what, features in seen.items()}
    pearson = pearson_of(predicted, PAIRS, folds)
    assert pearson["expression"]["ci_low"] > 0.1
    assert pearson["permuted-features"]["value"] < 0.25
    again = RegimeTest(regime, PAIRS, folds, seed=0).predict(name, "expression", X)
    np.testing.assert_allclose(again, predicted["expression"], atol=1e-6)


def test_a_line_that_is_sensitive_to_everything_is_predicted_from_its_features():
    # The line's own mean is unknown where the line is: what it does must be learnt.
    rng = np.random.default_rng(3)
    line, drug = (grid.ravel() for grid in np.meshgrid(range(60), range(5), indexing="ij"))
    sensitive = rng.normal(size=60)
    pairs = ResponsePairs(line, drug, np.zeros_like(line), drug + 2 * sensitive[line])
    features = np.stack([sensitive, rng.normal(size=60)], axis=1).astype(np.float32)
    folds = (line % 3).astype(np.int64)
    test = RegimeTest(Regime.LEAVE_CELL_LINE_OUT, pairs, folds, seed=0)
    predicted = test.predict("ridge", "features", features)
    assert np.corrcoef(predicted - drug, pairs.value - drug)[0, 1] > 0.95


def test_a_drug_that_was_never_seen_is_predicted_from_its_features():
    rng = np.random.default_rng(4)
    line, drug = (grid.ravel() for grid in np.meshgrid(range(30), range(40), indexing="ij"))
    kind = np.arange(40) % 2
    value = 4.0 * kind[drug] + np.where(kind[drug] == 1, 1, -1) * rng.normal(size=30)[line]
    pairs = ResponsePairs(line, drug, np.zeros_like(line), value + 0.1 * rng.normal(size=len(line)))
    fingerprints = (kind[:, None] ^ (rng.random((40, 12)) < 0.1)).astype(np.float32)
    regime = Regime.LEAVE_DRUG_OUT
    folds = (drug // 2 % 4).astype(np.int64)
    test = RegimeTest(regime, pairs, folds, seed=0)
    by_structure = test.predict("ridge", "fingerprints", fingerprints)
    by_name = test.predict("ridge", "identity", np.eye(40, dtype=np.float32))
    pearson = pearson_of({"fingerprints": by_structure, "identity": by_name}, pairs, folds)
    assert pearson["fingerprints"]["value"] > 0.9
    assert pearson["identity"]["value"] < 0.2


def test_gaps_are_filled_by_what_the_rest_says():
    rng = np.random.default_rng(0)
    whole = np.outer(rng.normal(size=40), rng.normal(size=12))
    table = np.where(rng.random(whole.shape) < 0.2, np.nan, whole)
    complete = filled(table, rank=1)
    assert np.array_equal(complete[np.isfinite(table)], table[np.isfinite(table)])
    np.testing.assert_allclose(complete, whole, atol=0.2)


def test_intervals_are_calibrated_on_the_other_folds():
    folds = np.repeat([0, 1], 200)
    errors = np.concatenate([np.linspace(0, 1, 200), np.linspace(0, 2, 200)])
    reach = conformal_reach(errors, np.zeros(400), folds)
    assert reach[0] == pytest.approx(1.8, abs=0.02)
    assert reach[-1] == pytest.approx(0.9, abs=0.02)


def in_folds(names, folds):
    return {name: {int(f) for f in folds[np.asarray(names) == name]} for name in set(names)}


@settings(max_examples=40, deadline=None)
@given(
    tissues=st.lists(st.integers(0, 6), min_size=30, max_size=30).filter(lambda t: len(set(t)) > 3),
    seed=st.integers(0, 999),
)
def test_a_tissue_or_study_is_left_out_whole_and_no_patient_is_cut(tissues, seed):
    left_out = [f"t{tissues[row // 2]}" for row in range(60)]
    frozen = observation_folds(
        Regime.LEAVE_TISSUE_OUT, IDS, PATIENTS, left_out, n_folds=3, seed=seed
    )
    assert all(len(held) == 1 for held in in_folds(left_out, frozen.folds).values())
    assert all(len(held) == 1 for held in in_folds(PATIENTS, frozen.folds).values())


def test_a_patient_in_two_studies_ties_them_together():
    studies = ["s1", "s2"] + [f"s{3 + row % 4}" for row in range(58)]
    patients = ["p", "p", *(f"q{row}" for row in range(58))]
    frozen = observation_folds(Regime.LEAVE_STUDY_OUT, IDS, patients, studies, n_folds=3, seed=0)
    assert frozen.folds[0] == frozen.folds[1]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), n_folds=st.integers(2, 6))
def test_drugs_and_pairs_are_dealt_evenly_whatever_their_order(seed, n_folds):
    drugs = [f"d{n}" for n in range(13)]
    of_drugs = drug_folds(drugs * 3, n_folds=n_folds, seed=seed)
    assert sorted(of_drugs.drugs) == sorted(drugs)
    assert set(of_drugs.observations) == {ANY}
    lines, names = np.repeat(IDS[:8], 13), np.tile(drugs, 8)
    pairs = pair_folds(lines, names, n_folds=n_folds, seed=seed)
    assert np.ptp(np.bincount(pairs.folds, minlength=n_folds)) <= 1
    order = np.random.default_rng(seed).permutation(len(lines))
    again = pair_folds(lines[order], names[order], n_folds=n_folds, seed=seed)
    assert (again.folds == pairs.folds[order]).all()
    assert again.sha256 == pairs.sha256
