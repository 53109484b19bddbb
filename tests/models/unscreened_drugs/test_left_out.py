"""Drugs that are left out: folds, planted leaks, planted signal, and noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import gene, reference_of
from planted_drugs import N_LINES, Planted, planted

from genept.models.holdout import Regime
from genept.models.splits import GroupLeakError
from genept.models.unscreened_drugs.drug_kernels import TARGETS, TEXT
from genept.models.unscreened_drugs.known_drugs import Drugs
from genept.models.unscreened_drugs.left_out import (
    CHOSEN,
    MEAN_PROFILE,
    REGIMES,
    LeftOut,
    SharedTargetError,
    refuse_leak,
)
from genept.models.unscreened_drugs.profile_ridge import LEAST_LINES, weights_of
from genept.nomenclature import Nomenclature, map_targets

DRUG, TARGET, BOTH_OUT = REGIMES


@pytest.fixture(scope="module")
def screen() -> Planted:
    return planted()


@pytest.fixture(scope="module")
def left_out(screen: Planted) -> LeftOut:
    return screen.left_out


def with_folds(left_out: LeftOut, folds: np.ndarray) -> LeftOut:
    """The same drugs in folds that somebody else made."""
    copied = replace(left_out)
    copied.__dict__["folds"] = folds
    return copied


def test_a_planted_relation_is_found_and_controls_are_worse(left_out: LeftOut) -> None:
    for regime, least in ((DRUG, 0.5), (TARGET, 0.4)):
        means = {name: values.mean() for name, values in left_out.scores[regime].items()}
        assert means[CHOSEN] == means[TARGETS], "nothing else is known of these drugs"
        assert means[CHOSEN] > least, means
        assert means[TEXT] > least
        assert means[MEAN_PROFILE] < 0.15
    for control in ("shuffled", "random"):
        for of in (TARGETS, TEXT):
            assert abs(means[f"{of}@{control}"]) < 0.2 < means[CHOSEN] / 2, means
    assert abs(means["stated targets"]) < 0.15, "targets of the test are not in the training"
    assert left_out.scores[DRUG]["stated targets"].mean() > 0.4, "the other drug of the target is"
    assert left_out.scores[BOTH_OUT].keys() == {CHOSEN}
    assert left_out.scores[BOTH_OUT][CHOSEN].mean() > 0.4


@pytest.mark.parametrize("regime", [DRUG, TARGET])
def test_scores_are_those_of_a_fit_for_each_drug(left_out: LeftOut, regime: Regime) -> None:
    responses, kernel = left_out.responses, left_out.kernels[TARGETS]
    refitted = []
    for drug in range(len(left_out.chosen)):
        training = left_out.training(drug, regime)
        weights = weights_of(kernel, training, np.array([drug]), left_out.variant)
        predicted = weights[0] @ responses.profiles(training)
        refitted.append(responses.correlation(drug, responses.line_means(training), predicted))
    np.testing.assert_allclose(left_out.scores[regime][TARGETS], refitted, atol=1e-9)


def test_of_noise_nothing_is_predicted() -> None:
    scores = planted(1, signal=0).left_out.scores
    for regime in REGIMES:
        assert abs(scores[regime][CHOSEN].mean()) < 0.06, regime


def test_drugs_without_a_target_or_with_few_lines_are_not_left_out(screen: Planted) -> None:
    targets = (frozenset(), *screen.drugs.targets[1:])
    pairs = screen.screen.pairs
    few = np.flatnonzero(pairs.drug == 1)[LEAST_LINES - 1 :]
    kept = np.ones(len(pairs.value), dtype=bool)
    kept[few] = False
    rows = replace(screen.screen, pairs=pairs.take(kept))
    left_out = LeftOut(rows, replace(screen.drugs, targets=targets), screen.spaces)
    assert left_out.chosen.tolist() == list(range(2, len(targets)))
    assert left_out.n_compounds == len(targets) - 2
    nobody = LeftOut(rows, replace(screen.drugs, targets=(frozenset(),) * len(targets)), {})
    assert nobody.n_compounds == 0


def test_training_shares_neither_compound_nor_target(left_out: LeftOut) -> None:
    drugs = left_out.drugs
    for drug in range(len(drugs.names)):
        wide = left_out.training(drug, DRUG)
        narrow = left_out.training(drug, TARGET)
        assert drug not in wide
        assert set(narrow) <= set(wide)
        assert not drugs.targets[drug] & frozenset().union(*(drugs.targets[at] for at in narrow))
    assert any(
        drugs.targets[drug] & drugs.targets[at]
        for drug in range(len(drugs.names))
        for at in left_out.training(drug, DRUG)
    )


@given(st.lists(st.tuples(st.integers(0, 47), st.integers(0, 47), st.booleans()), max_size=12))
def test_a_compound_is_never_in_two_folds(ties: list[tuple[int, int, bool]]) -> None:
    """Whether two names are one by a synonym or by a structure."""
    screen = TIED
    synonyms = [list(each) for each in screen.drugs.synonyms]
    smiles = list(screen.drugs.smiles)
    for first, second, by_structure in ties:
        if by_structure:
            smiles[first] = smiles[second] = smiles[first] or smiles[second] or f"C{first}"
        else:
            synonyms[first].append(screen.drugs.names[second].upper().replace("-", " "))
    known = replace(
        screen.drugs, synonyms=tuple(tuple(each) for each in synonyms), smiles=tuple(smiles)
    )
    left_out = LeftOut(screen.screen, known, {})
    for first, second, by_structure in ties:
        if not by_structure:
            assert left_out.folds[first] == left_out.folds[second]
    for structure in {each for each in smiles if each}:
        same = [at for at, each in enumerate(smiles) if each == structure]
        assert len(set(left_out.folds[same].tolist())) == 1
    assert len(left_out.frozen(DRUG).sha256) == 64


TIED = planted(2)


def test_a_target_under_a_synonym_in_training_is_refused_by_name(screen: Planted) -> None:
    """MEK1 in one list and MAP2K1 in the other are one gene: the mapping must say so."""
    nomenclature = Nomenclature.of(reference_of(gene(1, "MAP2K1"), gene(2, "KIT")))
    meanings = map_targets(["MEK1", "MAP2K1"], nomenclature)
    stated = [frozenset(id_ for _, id_ in meanings[token].members) for token in meanings]
    assert stated[0] == stated[1] == {"ENSG00000000001"}
    targets = (*stated, *screen.drugs.targets[4:])
    names = ("Trametinib", "Selumetinib", *screen.drugs.names[4:])
    drugs = Drugs(names, ((),) * len(names), targets, (None,) * len(names), (None,) * len(names))
    kept = np.isin(screen.screen.pairs.drug, [2, 3])
    pairs = screen.screen.pairs.take(~kept)
    pairs = replace(pairs, drug=np.unique(pairs.drug, return_inverse=True)[1])
    rows = replace(screen.screen, drugs=np.array(names), pairs=pairs)
    left_out = LeftOut(rows, drugs, screen.spaces)
    folds = np.arange(len(names)) % 10
    honest = with_folds(left_out, folds)
    assert 1 not in honest.training(0, TARGET)
    assert 1 in honest.training(0, DRUG), "without its target the drug alone is left out"
    leaking = with_folds(left_out, folds)
    leaking.__dict__["shared"] = np.eye(len(names), dtype=bool)
    with pytest.raises(SharedTargetError) as refused:
        leaking.training(0, TARGET)
    for name in ("Trametinib", "Selumetinib", "ENSG00000000001"):
        assert name in str(refused.value)
    with pytest.raises(SharedTargetError, match="both act on ENSG00000000001"):
        leaking.correlations(TARGET)


def test_a_compound_under_a_synonym_in_training_is_refused_by_name(screen: Planted) -> None:
    synonyms = (("DRUG 07",), *screen.drugs.synonyms[1:])
    left_out = LeftOut(screen.screen, replace(screen.drugs, synonyms=synonyms), screen.spaces)
    assert left_out.folds[0] == left_out.folds[7]
    leaking = with_folds(left_out, np.arange(len(synonyms)) % 10)
    for regime in REGIMES:
        with pytest.raises(SharedTargetError, match="drug-07 .*drug-00 .*they are one compound"):
            leaking.correlations(regime)
    with pytest.raises(GroupLeakError, match="drug-00"):
        leaking.frozen(DRUG)


def test_a_shared_target_is_refused_only_where_targets_are_left_out(left_out: LeftOut) -> None:
    training = np.array([1, 4])
    refuse_leak(left_out.drugs, training, 0, targets=False)
    with pytest.raises(SharedTargetError, match="drug-01 is in the training and drug-00"):
        refuse_leak(left_out.drugs, training, 0, targets=True)
    refuse_leak(left_out.drugs, training[1:], 0, targets=True)


def test_the_responses_of_a_left_out_drug_are_not_read(screen: Planted, left_out: LeftOut) -> None:
    """What is predicted for a drug stays when its own responses become others."""
    drug = 6
    pairs = screen.screen.pairs
    own = pairs.drug == drug
    rng = np.random.default_rng(0)
    value = np.where(own, rng.permutation(pairs.value), pairs.value)
    changed = replace(screen.screen, pairs=replace(pairs, value=value))
    other = LeftOut(changed, screen.drugs, screen.spaces)
    for regime in (DRUG, TARGET):
        training = left_out.training(drug, regime)
        np.testing.assert_array_equal(training, other.training(drug, regime))
        np.testing.assert_array_equal(
            left_out.responses.profiles(training), other.responses.profiles(training)
        )


def test_too_few_drugs_to_learn_from_score_nothing(screen: Planted) -> None:
    """Where nearly all drugs share a target, what is left is not learnt from."""
    common = tuple(frozenset({"ENSG00000000001"}) for _ in screen.drugs.targets[:-4])
    known = replace(screen.drugs, targets=(*common, *screen.drugs.targets[-4:]))
    scores = LeftOut(screen.screen, known, screen.spaces).correlations(TARGET)
    assert not any(values[:-4].any() for values in scores.values())
    assert scores[TARGETS][-4:].any()
    assert N_LINES > LEAST_LINES


def test_hashes_of_folds_depend_on_the_regime_and_not_on_the_order(left_out: LeftOut) -> None:
    first, second = (left_out.frozen(regime) for regime in REGIMES[:2])
    assert first.sha256 != second.sha256
    order = np.random.default_rng(0).permutation(len(left_out.drugs.names))
    moved = replace(
        first, drugs=first.drugs[order], observations=first.observations[order],
        groups=first.groups[order], folds=first.folds[order],
    )  # fmt: skip
    assert moved.sha256 == first.sha256
    assert first.regime is Regime.LEAVE_DRUG_OUT


@settings(max_examples=4)
@given(st.integers(0, 1000))
def test_scores_do_not_depend_on_the_order_of_drugs_or_lines(seed: int) -> None:
    rng, screen = np.random.default_rng(seed), TIED.screen
    drugs, lines = (rng.permutation(len(names)) for names in (screen.drugs, screen.ids))
    pairs = rng.permutation(len(screen.pairs.value))
    moved = screen.pairs.take(pairs)
    place, row = np.argsort(drugs), np.argsort(lines)
    other = LeftOut(
        replace(
            screen,
            ids=screen.ids[lines],
            groups=screen.groups[lines],
            features={name: matrix[lines] for name, matrix in screen.features.items()},
            drugs=screen.drugs[drugs],
            pairs=replace(moved, line=row[moved.line], drug=place[moved.drug]),
        ),
        TIED.drugs.take(drugs),
        TIED.spaces,
    )
    expected = TIED_LEFT_OUT
    np.testing.assert_array_equal(other.folds, expected.folds[drugs])
    for regime in REGIMES:
        assert other.frozen(regime).sha256 == expected.frozen(regime).sha256
        for name, values in expected.scores[regime].items():
            found = other.scores[regime][name]
            np.testing.assert_allclose(found, values[drugs], atol=1e-5, err_msg=f"{regime} {name}")


TIED_LEFT_OUT = TIED.left_out
