"""Profiles of drugs that a screen did not measure: what they rest on, and abstentions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from declared_rows import declared_frame
from planted_drugs import GENES, Planted, planted

from genept.models.holdout import Regime
from genept.models.unscreened_drugs.profile_ridge import LEAST_LINES
from genept.models.unscreened_drugs.unscreened_profiles import (
    ANSWERED,
    LIKE_NONE,
    N_EVIDENCE,
    NOTHING_KNOWN,
    UnscreenedModel,
)
from genept.models.unscreened_drugs.unscreened_scores import NOT_BETTER, Gate
from genept.schema.tables import TABLES

OPEN = Gate(None, {Regime.LEAVE_DRUG_OUT: 0.4, Regime.LEAVE_TARGET_OUT: 0.2}, [])
SHUT = Gate(NOT_BETTER, {}, [])
ASPIRIN, BENZOIC = "CC(=O)Oc1ccccc1C(=O)O", "Oc1ccccc1C(=O)O"


@pytest.fixture(scope="module")
def screen() -> Planted:
    return planted()


def model_of(screen: Planted, *asked: tuple[str, frozenset[str], str | None]) -> UnscreenedModel:
    drugs = screen.drugs
    for each in asked:
        drugs = drugs.with_drug(*each)
    return UnscreenedModel(screen.screen, drugs, screen.spaces)


def fits(name: str, rows: pl.DataFrame) -> bool:
    return rows.select(declared_frame(TABLES[name], 1).columns).schema == (
        declared_frame(TABLES[name], 1).schema
    )


def test_an_unscreened_drug_has_the_profile_of_its_target(screen: Planted) -> None:
    new = screen.drugs.targets[0]
    model = model_of(screen, ("new", new, None), ("unlike", frozenset(GENES[60:61]), None))
    vectors = next(iter(screen.spaces.values())).vectors
    truth = screen.state @ (vectors[0] - vectors.mean(axis=0))
    assert model.profiles.shape == (2, len(screen.screen.ids))
    assert np.corrcoef(model.profiles[0], truth)[0, 1] > 0.8
    assert model.profiles[1].std() < model.profiles[0].std() / 3, "drawn towards 0"
    assert set(model.evidence(0)[:2]) == {"drug-00", "drug-01"}
    assert len(model.evidence(0)) == N_EVIDENCE
    assert model.shares_target(0)
    assert not model.shares_target(1)


def test_rows_fit_the_declarations_and_say_which_test_comes_nearest(screen: Planted) -> None:
    model = model_of(
        screen, ("b", frozenset(GENES[60:61]), None), ("a", screen.drugs.targets[3], None)
    )
    about, predicted = model.rows("my-screen", OPEN)
    assert fits("unscreened_drugs", about)
    assert fits("unscreened_drug_responses", predicted)
    assert about.select("drug_id", "regime", "expected_correlation", "reason").rows() == [
        ("a", "leave-drug-out", 0.4, ANSWERED), ("b", "leave-target-out", 0.2, ANSWERED),
    ]  # fmt: skip
    assert about["compared_by"].unique().to_list() == ["target vectors"]
    assert predicted.height == 2 * len(screen.screen.ids)
    own = predicted.filter(drug_id="a").sort("observation_id")
    assert own["observation_id"].to_list() == screen.screen.ids.tolist()
    np.testing.assert_allclose(own["prediction"].to_numpy(), model.profiles[1])


def test_where_the_gate_refuses_everything_abstains_with_its_reason(screen: Planted) -> None:
    about, predicted = model_of(screen, ("a", screen.drugs.targets[3], None)).rows("s", SHUT)
    (row,) = about.rows(named=True)
    assert row["abstained"]
    assert row["reason"] == NOT_BETTER
    assert (row["expected_correlation"], row["evidence"]) == (None, [])
    assert predicted.height == 0
    assert fits("unscreened_drugs", about)
    assert fits("unscreened_drug_responses", predicted)


def test_a_drug_of_which_nothing_is_known_abstains(screen: Planted) -> None:
    model = model_of(
        screen, ("nothing", frozenset(), None), ("group", frozenset({"DNA crosslinking"}), None),
        ("no vector", frozenset({"ENSG00000099999"}), None),
        ("known", screen.drugs.targets[0], None),
    )  # fmt: skip
    about, predicted = model.rows("s", OPEN)
    reasons = dict(about.select("drug_id", "reason").iter_rows())
    assert reasons == {
        "known": ANSWERED, "nothing": NOTHING_KNOWN, "group": NOTHING_KNOWN,
        "no vector": NOTHING_KNOWN,
    }  # fmt: skip
    assert predicted["drug_id"].unique().to_list() == ["known"]


def test_a_drug_that_is_like_no_measured_drug_abstains(screen: Planted) -> None:
    """Its structure is known, and drugs are compared by targets alone: nothing is compared."""
    model = model_of(screen, ("structure", frozenset(), ASPIRIN))
    assert model.described[-1]
    assert model.compared_by == "target vectors"
    (row,) = model.rows("s", OPEN)[0].rows(named=True)
    assert (row["abstained"], row["reason"], row["evidence"]) == (True, LIKE_NONE, [])
    assert row["expected_correlation"] is None


def test_without_a_drug_to_ask_about_there_are_no_rows(screen: Planted) -> None:
    about, predicted = model_of(screen).rows("s", OPEN)
    assert (about.height, predicted.height) == (0, 0)
    assert fits("unscreened_drugs", about)


def test_drugs_with_few_lines_or_nothing_known_are_not_learnt_from(screen: Planted) -> None:
    pairs = screen.screen.pairs
    kept = np.ones(len(pairs.value), dtype=bool)
    kept[np.flatnonzero(pairs.drug == 1)[LEAST_LINES - 1 :]] = False
    rows = replace(screen.screen, pairs=pairs.take(kept))
    targets = (frozenset(), *screen.drugs.targets[1:])
    model = UnscreenedModel(rows, replace(screen.drugs, targets=targets), screen.spaces)
    assert model.training.tolist() == list(range(2, len(targets)))
    bare = UnscreenedModel(rows, replace(screen.drugs, targets=targets), {})
    with pytest.raises(ValueError, match="0 drugs of the screen have a known target or structure"):
        _ = bare.compared_by


def test_structures_count_where_no_vector_is_available(screen: Planted) -> None:
    smiles = tuple(
        (ASPIRIN if number % 2 else BENZOIC) + "C" * number for number in range(len(GENES))
    )
    drugs = replace(screen.drugs, smiles=smiles[: len(screen.drugs.names)])
    model = UnscreenedModel(screen.screen, drugs.with_drug("new", frozenset(), ASPIRIN), {})
    assert model.compared_by == "structures"
    assert model.rows("s", OPEN)[0]["reason"].to_list() == [ANSWERED]


def test_lines_that_nothing_was_measured_in_have_no_rows(screen: Planted) -> None:
    pairs = screen.screen.pairs
    rows = replace(screen.screen, pairs=pairs.take(pairs.line != 5))
    drugs = screen.drugs.with_drug("new", screen.drugs.targets[0], None)
    _, predicted = UnscreenedModel(rows, drugs, screen.spaces).rows("s", OPEN)
    assert screen.screen.ids[5] not in predicted["observation_id"].to_list()
    assert predicted.height == len(screen.screen.ids) - 1
