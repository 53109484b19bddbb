"""Scores beside controls, and the gate that reads them."""

from __future__ import annotations

import polars as pl
import pytest
from declared_rows import declared_frame
from planted_drugs import planted

from genept.models.unscreened_drugs.drug_kernels import TARGETS, TEXT, VARIANT
from genept.models.unscreened_drugs.left_out import CHOSEN, MEAN_PROFILE, LeftOut
from genept.models.unscreened_drugs.unscreened_scores import (
    NO_CONTROL,
    NOT_BETTER,
    Gate,
    left_out_rows,
    score_rows,
)
from genept.schema.tables import TABLES


def scored(left_out: LeftOut) -> pl.DataFrame:
    return pl.DataFrame([*score_rows("my-screen", left_out)], infer_schema_length=None)


@pytest.fixture(scope="module")
def left_out() -> LeftOut:
    return planted().left_out


@pytest.fixture(scope="module")
def scores(left_out: LeftOut) -> pl.DataFrame:
    return scored(left_out)


def test_rows_of_scores_fit_the_declaration(scores: pl.DataFrame) -> None:
    table = TABLES["unscreened_drug_scores"]
    declared = declared_frame(table, 1)
    assert scores.select(declared.columns).schema == declared.schema
    assert not scores.select(table.key).is_duplicated().any()
    assert set(scores["variant"]) == {VARIANT.sha256}
    assert scores["n_drugs"].unique().to_list() == [48]
    for low, high in (("ci_low", "ci_high"), ("difference_low", "difference_high")):
        known = scores.filter(pl.col(low).is_not_null())
        assert (known[low] <= known[high]).all()


def test_a_difference_is_paired_with_every_main_control_and_its_own(
    left_out: LeftOut, scores: pl.DataFrame
) -> None:
    rows = scores.filter(regime="leave-target-out", representation=TEXT)
    assert set(rows["other"]) == {
        MEAN_PROFILE, "stated targets", f"{TARGETS}@shuffled", f"{TARGETS}@random",
        f"{TEXT}@shuffled", f"{TEXT}@random",
    }  # fmt: skip
    of = left_out.scores[next(r for r in left_out.scores if r == "leave-target-out")]
    for row in rows.iter_rows(named=True):
        expected = (of[TEXT] - of[row["other"]]).mean()
        assert row["difference"] == pytest.approx(expected)
        assert row["difference_low"] < expected < row["difference_high"]
        assert row["value"] == pytest.approx(of[TEXT].mean())
    own = scores.filter(representation=MEAN_PROFILE)["other"].to_list()
    assert MEAN_PROFILE not in own
    both = scores.filter(regime="leave-drug-and-line-out").rows(named=True)
    assert [(row["representation"], row["other"]) for row in both] == [(CHOSEN, NO_CONTROL)]
    assert both[0]["difference"] is None


def test_candidates_are_no_controls(scores: pl.DataFrame) -> None:
    controls = dict(scores.select("representation", "is_control").iter_rows())
    assert not any(controls[name] for name in (CHOSEN, TARGETS, TEXT))
    assert all(controls[name] for name in controls if "@" in name)
    assert controls[MEAN_PROFILE]
    assert controls["stated targets"]


def test_rows_of_left_out_drugs_fit_the_declaration(left_out: LeftOut) -> None:
    rows = left_out_rows("my-screen", left_out)
    table = TABLES["left_out_drugs"]
    declared = declared_frame(table, 1)
    assert rows.select(declared.columns).schema == declared.schema
    assert not rows.select(table.key).is_duplicated().any()
    assert rows.height == 2 * 48
    for regime, of in left_out.scores.items():
        own = rows.filter(regime=str(regime))
        if own.height:
            assert own["correlation"].to_list() == of[CHOSEN].tolist()
    wide, narrow = (
        rows.filter(regime=name)["n_training"] for name in ("leave-drug-out", "leave-target-out")
    )
    assert (narrow <= wide).all()
    assert rows["n_lines"].to_list() == 2 * left_out.responses.measured.sum(axis=1).tolist()
    per_group = rows.group_by("regime", "group").agg(pl.col("fold").n_unique())
    assert per_group["fold"].max() == 1


def test_the_gate_answers_where_something_is_learnt(scores: pl.DataFrame) -> None:
    gate = Gate.of(scores)
    assert gate.refusal is None
    assert all(value > 0.4 for value in gate.expected.values())
    assert len(gate.findings) == 2
    assert all(finding.endswith(": better") for finding in gate.findings)


def test_the_gate_refuses_a_screen_of_noise() -> None:
    gate = Gate.of(scored(planted(1, signal=0).left_out))
    assert gate.refusal == NOT_BETTER
    assert any("not shown to be better" in finding for finding in gate.findings)


@pytest.mark.parametrize("regime", ["leave-drug-out", "leave-target-out"])
def test_the_gate_needs_both_regimes(scores: pl.DataFrame, regime: str) -> None:
    without_regime = scores.filter(pl.col("regime") != regime)
    assert Gate.of(without_regime).refusal == NOT_BETTER
    at = (pl.col("regime") == regime) & (pl.col("representation") == CHOSEN)
    for low in (0.0, -0.1, None):
        worse = scores.with_columns(
            difference_low=pl.when(at).then(low).otherwise("difference_low")
        )
        assert Gate.of(worse).refusal == NOT_BETTER, low
