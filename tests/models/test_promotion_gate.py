"""The gate: planted faults are refused each by the point that is meant for it, and no other."""

from dataclasses import replace

import numpy as np
import pytest
from planted_models import blocked, planted_rows, trained

import genept.models.diagnosis.diagnosis_retraining
from genept.models.confidence import _ece_by_chance, _slope, calibration_metrics
from genept.models.evidence import Champion, Interval, ModelCandidate
from genept.models.heads import Contender, fit_model
from genept.models.holdout import planted_labels
from genept.models.promotion_gate import POINTS, is_calibrated, judge
from genept.models.splits import connected_groups, near_duplicates

TAUGHT = Interval(value=0.6, low=0.55, high=0.7, n=9)


@pytest.fixture(scope="module")
def good():
    return trained(planted_rows())


def changed(candidate, manifest=None, evidence=None, **more):
    return ModelCandidate(
        candidate.manifest.model_copy(update=manifest or {}),
        candidate.evidence.model_copy(update=evidence or {}),
        more.get("card", candidate.card),
        more.get("stored", candidate.stored_pipeline_sha256),
    )


def worse(candidate, rows):
    """The candidate's holdout as predicted by a champion that errs on these rows."""
    out = candidate.evidence.holdout
    shares = np.where(
        np.eye(len(out.classes))[np.searchsorted(out.classes, out.truth)] > 0, 0.9, 0.1
    )
    shares[rows] = shares[rows][:, ::-1]
    return out.model_copy(update={"probabilities": tuple(map(tuple, shares.tolist()))})


def champion_of(candidate, wrong, **manifest):
    named = candidate.manifest.model_copy(update={"version": "0", **manifest})
    return Champion(named, candidate.evidence, worse(candidate, wrong))


def test_a_good_first_candidate_passes_all_fifteen(good):
    verdicts = judge(good)
    assert [verdict.point for verdict in verdicts.points] == list(range(1, 16))
    assert [verdict.name for verdict in verdicts.points] == list(POINTS)
    assert not blocked(good)
    assert verdicts.promotes
    assert verdicts.table().height == 15


def test_it_takes_the_place_of_a_worse_champion_and_a_tie_keeps_the_champion(good):
    many = np.arange(0, len(good.evidence.holdout.ids), 2)
    assert not blocked(good, champion_of(good, many))
    tie = Champion(
        good.manifest.model_copy(update={"version": "0"}), good.evidence, good.evidence.holdout
    )
    assert blocked(good, tie) == {"not_worse_than_champion": "refuse"}
    assert "not_worse_than_champion" in blocked(good, champion_of(good, np.array([], dtype=int)))


def test_a_patient_in_two_folds_under_two_ids_is_refused():
    rows = planted_rows()
    duplicates = np.flatnonzero(np.arange(420) % 20 == 7)
    X = rows.features["expression"].copy()
    X[duplicates + 2] = X[duplicates] + np.float32(1e-4)
    leaky = planted_rows(features={"expression": X})
    honest = connected_groups(list(leaky.groups), duplicates=near_duplicates(X))
    assert (honest[duplicates] == honest[duplicates + 2]).all()
    assert blocked(trained(leaky)) == {"groups_stay_whole": "refuse"}
    tied = planted_rows(features={"expression": X}, groups=honest)
    assert "groups_stay_whole" not in blocked(trained(tied, patients=leaky.groups))


def test_a_label_column_among_the_features_is_refused():
    rows = planted_rows()
    code = (rows.labels == "malign").astype(np.float32)
    X = np.hstack([rows.features["expression"], code[:, None]])
    candidate = trained(planted_rows(features={"expression": X}))
    assert candidate.evidence.label_like_features == ("expression #24",)
    assert blocked(candidate)["fitted_inside"] == "refuse"


def test_test_rows_in_training_are_betrayed_by_the_sentinels(monkeypatch):
    rows = planted_rows(strength=0.0)
    everything = {}

    def remember(given, holdout, *, seed):
        planted, sentinel = planted_labels(given, holdout, seed=seed)
        everything.update(features=planted.features, labels=planted.labels)
        return planted, sentinel

    def leaky_fit(contender, features, labels, calibration, seed):
        return fit_model(
            Contender("expression", "knn"),
            everything["features"],
            everything["labels"],
            calibration,
            seed,
        )

    monkeypatch.setattr(genept.models.diagnosis.diagnosis_retraining, "planted_labels", remember)
    monkeypatch.setattr(genept.models.diagnosis.diagnosis_retraining, "fit_model", leaky_fit)
    candidate = trained(rows)
    assert candidate.evidence.sentinels_right == candidate.evidence.n_sentinels == 40
    assert blocked(candidate)["sentinels_stay_unknown"] == "refuse"


def test_a_forgotten_cohort_or_class_is_refused(good):
    many = np.arange(0, len(good.evidence.holdout.ids), 2)
    champion = champion_of(good, many)
    one_cohort = changed(good, {"cohorts": good.manifest.cohorts[:1]})
    assert blocked(one_cohort, champion) == {"no_data_set_is_forgotten": "refuse"}
    on_purpose = changed(
        good, {"cohorts": good.manifest.cohorts[:1], "forgotten_on_purpose": ("west",)}
    )
    assert not blocked(on_purpose, champion)
    known_class = champion_of(good, many, classes=(*good.manifest.classes, "rare"))
    assert blocked(good, known_class) == {"nothing_is_forgotten": "refuse"}


def test_a_drop_on_one_earlier_cohort_is_refused_even_when_the_whole_got_better(good):
    out = good.evidence.holdout
    right = np.eye(2)[np.searchsorted(out.classes, out.truth)] * 0.8 + 0.1
    west = np.flatnonzero(np.asarray(out.cohorts) == "west")
    east = np.flatnonzero(np.asarray(out.cohorts) == "east")
    assert min(len(west), len(east)) >= 30
    right[west[:6]] = right[west[:6]][:, ::-1]
    forgets = changed(
        good,
        evidence={
            "holdout": out.model_copy(update={"probabilities": tuple(map(tuple, right.tolist()))})
        },
    )
    verdicts = blocked(forgets, champion_of(good, east[:25]))
    assert verdicts["nothing_is_forgotten"] == "refuse"
    assert "not_worse_than_champion" not in verdicts


@pytest.mark.parametrize(
    ("point", "changes"),
    [
        ("fitted_inside", {"manifest": {"steps": ("head",)}}),
        ("holdout_is_frozen", {"manifest": {"holdout_sha256": "0" * 64}}),
        ("sentinels_stay_unknown", {"evidence": {"sentinels_right": 31}}),
        ("sentinels_stay_unknown", {"evidence": {"n_sentinels": 6, "sentinels_right": 2}}),
        ("permuted_labels_teach_nothing", {"evidence": {"permuted": TAUGHT}}),
        ("beats_baselines", {"evidence": {"baselines": {}}}),
        ("beats_baselines", {"evidence": {"plain": ()}}),
        ("is_reproducible", {"evidence": {"refit_difference": 1e-3}}),
        ("is_stored_safely", {"stored": "other"}),
        ("is_stored_safely", {"manifest": {"types": ("os.system",)}}),
        ("is_stored_safely", {"evidence": {"reload_difference": 0.53}}),
        ("evidence_is_complete", {"evidence": {"scores": {}}}),
        ("has_a_card", {"card": "a card"}),
    ],
)  # fmt: skip
def test_each_fault_is_refused_by_its_point(good, point, changes):
    assert blocked(changed(good, **changes)) == {point: "refuse"}


def test_not_a_number_refuses(good):
    nothing = good.evidence.scores | {"macro_f1": Interval(value=float("nan"), n=1)}
    verdicts = blocked(
        changed(good, evidence={"scores": nothing, "refit_difference": float("nan")})
    )
    assert verdicts == {"evidence_is_complete": "refuse", "is_reproducible": "refuse"}


def test_new_classes_and_a_moved_label_mix_wait_for_a_person(good):
    many = np.arange(0, len(good.evidence.holdout.ids), 2)
    fewer = champion_of(good, many, classes=good.manifest.classes[:1])
    assert blocked(good, fewer)["evidence_is_complete"] == "wait"
    moved = champion_of(good, many, label_counts={"benign": 300, "malign": 120})
    assert blocked(good, moved) == {"evidence_is_complete": "wait"}
    assert not judge(replace(good, champion=moved)).promotes
    out = good.evidence.holdout
    more = out.model_copy(update={"ids": (*out.ids, "s999")})
    shrunk = Champion(
        moved.manifest, good.evidence.model_copy(update={"holdout": more}), moved.holdout
    )
    assert blocked(good, shrunk)["evidence_is_complete"] == "refuse"


def test_two_retrainings_give_the_same_probabilities():
    first, second = (trained(planted_rows(n=160)).evidence for _ in range(2))
    np.testing.assert_allclose(first.holdout.shares, second.holdout.shares, atol=1e-6)
    np.testing.assert_allclose(first.out_of_fold.shares, second.out_of_fold.shares, atol=1e-6)
    assert first.refit_difference <= 1e-6
    assert first.reload_difference <= 1e-6


def test_a_first_champion_is_the_plain_model_on_expression_or_beats_it(good):
    """`good` is that model; under another name it only ties with it."""
    assert "it is the plain model" in judge(good).points[5].evidence
    other = {"representation": "embedding"}
    tie = changed(good, manifest=other)
    assert blocked(tie) == {"beats_baselines": "refuse"}
    unseen = good.evidence.unseen
    rng = np.random.default_rng(0)
    wrong = np.where(rng.random(len(unseen.ids)) < 0.3, unseen.predicted[::-1], unseen.predicted)
    assert not blocked(changed(good, other, {"plain": tuple(wrong.tolist())}))
    ahead = changed(good, other, {"plain": tuple(unseen.truth.tolist())})
    assert blocked(ahead) == {"beats_baselines": "refuse"}
    finding = judge(ahead).points[5].evidence
    assert "expression, linear: -0." in finding


@pytest.mark.parametrize(
    ("n", "outcome", "says"), [(34, "wait", "too few"), (5000, "refuse", "wrong")]
)
def test_a_slope_of_few_samples_is_not_taken_for_a_wrong_one(good, n, outcome, says):
    """Too sure by half: on 34 samples nobody can tell, on 5,000 it is certain."""
    rng = np.random.default_rng(1)
    log_odds = rng.normal(2.2, 0.5, n)
    sure = 1 / (1 + np.exp(-log_odds))
    is_right = rng.random(n) < 1 / (1 + np.exp(-(log_odds * 0.4 + 1.3)))
    truth = np.where(is_right, "benign", "malign")
    ids = tuple(f"x{row}" for row in range(n))
    columns = {
        "ids": ids, "groups": ids, "cohorts": ("east",) * n, "labels": tuple(truth.tolist()),
        "probabilities": tuple(zip(sure.tolist(), (1 - sure).tolist(), strict=True)),
    }  # fmt: skip
    out = good.evidence.holdout.model_copy(update=columns)
    none = good.evidence.out_of_fold.model_copy(update=dict.fromkeys([*columns, "folds"], ()))
    metrics = calibration_metrics(out)
    assert metrics.slope_low < 0.4 < metrics.slope_high
    answer = is_calibrated(changed(good, evidence={"holdout": out, "out_of_fold": none}))
    assert (answer[0], says in answer[1]) == (outcome, True)


def test_the_interval_of_a_slope_covers_it_about_as_often_as_it_says(good):
    rng = np.random.default_rng(2)
    covered = []
    for _ in range(60):
        log_odds = np.repeat(rng.normal(1.0, 1.0, 150), 2)
        sure = np.where(log_odds > 0, 1, -1) * log_odds
        right = rng.random(300) < 1 / (1 + np.exp(-sure))
        slope, spread = _slope(sure, right, [f"g{row // 2}" for row in range(300)])
        covered.append(abs(slope - 1) < 1.96 * spread)
    assert np.mean(covered) > 0.85


def test_a_calibration_error_of_few_samples_is_that_of_chance():
    rng = np.random.default_rng(3)
    by_chance = [_ece_by_chance(rng.uniform(0.5, 1, n)) for n in (34, 340, 3400)]
    assert by_chance[0] > 0.08
    assert by_chance[2] < 0.03
    assert by_chance == sorted(by_chance, reverse=True)
