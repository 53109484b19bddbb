"""The four tables of a planted screen in a real lake: rows, remarks, steps, what is passed on."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from declared_rows import declared_frame
from planted import a_collection
from planted_drug_tables import ingested, listed, stored, vectors_of
from planted_drugs import N_TARGETS, planted

from genept.benchmarks import mean_score
from genept.embeddings import CollectionTables, embedding_matrix, read_spaces, read_views
from genept.models.drug_response import principal_components
from genept.models.splits import grouped_folds
from genept.models.unscreened_drugs import UNSCREENED, build_unscreened
from genept.models.unscreened_drugs.drug_kernels import ONTOLOGY, TEXT
from genept.models.unscreened_drugs.left_out import refuse_leak
from genept.models.unscreened_drugs.unscreened_tables import _CODE
from genept.models.user_samples import expression_features
from genept.nomenclature import key_of
from genept.release.staging import passed_on
from genept.schema.tables import TABLES
from genept.storage.lake import Lake
from genept.storage.provenance import StoredTable
from validation.checks import check_table

SCREEN = "planted"
VARIANTS: dict[str, Any] = {
    "whole": {}, "noise": {"signal": 0.0}, "bare": {"vectors": False},
}  # fmt: skip


@pytest.fixture(scope="module")
def lake(object_store, tmp_path_factory) -> Lake:
    """One lake for all tests of this file."""
    prefix = f"tests/unscreened-{secrets.token_hex(4)}"
    return Lake(object_store, prefix, tmp_path_factory.mktemp("parts"))


class Built:
    """The four tables of one screen, in a lake of its own: ingest does not read the parser's code.

    Attributes: `lake`, `tables` by name, `remarks`, and `parts` as they were built.
    """

    def __init__(
        self,
        lake: Lake,
        *,
        drugs: int = 2 * N_TARGETS,
        signal: float = 1.0,
        vectors: bool = True,
        **terms: Any,
    ) -> None:
        self.lake = Lake(lake.store, f"{lake.product}-{drugs}-{signal}", lake.cache)
        screen = planted(11, signal=signal)
        tables = ingested(self.lake, screen, drugs=drugs)
        of = CollectionTables(self.lake, tables, [a_collection("zscore")], [])
        available = vectors_of(self.lake, screen) if vectors else {}
        self.parts, self.remarks = build_unscreened(
            of, *listed(self.lake, screen, **terms), available
        )
        self.tables = {name: self.lake.assemble(name, self.parts) for name in UNSCREENED}

    def read(self, name: str) -> pl.DataFrame:
        return self.lake.read(self.tables[name])

    def failed(self, name: str) -> tuple[str, ...]:
        return check_table(self.lake, self.tables[name]).failed


@pytest.fixture(scope="module")
def built(lake: Lake) -> Mapping[str, Built]:
    return {name: Built(lake, **options) for name, options in VARIANTS.items()}


def test_rows_fit_the_declarations(built) -> None:
    whole = built["whole"]
    assert {part.table for part in whole.parts} == set(UNSCREENED)
    assert {part.partition for part in whole.parts} == {(SCREEN,)}
    for name in UNSCREENED:
        assert whole.failed(name) == (), name
    assert list(whole.remarks) == [SCREEN]
    assert "leave-target-out" in whole.remarks[SCREEN]
    assert whole.remarks[SCREEN].count("better") == 2
    assert set(whole.read("left_out_drugs")["regime"]) == {
        "leave-drug-out", "leave-target-out",
    }  # fmt: skip


def test_drugs_that_were_not_measured_are_predicted(built) -> None:
    about = built["whole"].read("unscreened_drugs")
    rows = {row["drug_id"]: row for row in about.rows(named=True)}
    assert rows["new"]["evidence"][:2] == ["drug-00", "drug-01"]
    assert (rows["new"]["regime"], rows["far"]["regime"]) == ("leave-drug-out", "leave-target-out")
    assert rows["nothing"]["abstained"]
    assert "neither a target with a vector" in rows["nothing"]["reason"]
    responses = built["whole"].read("unscreened_drug_responses")
    assert set(responses["drug_id"]) == {"new", "far"}
    assert responses["prediction"].is_finite().all()


def test_another_name_of_a_measured_compound_is_not_unscreened(built) -> None:
    about = built["whole"].read("unscreened_drugs")
    assert set(about["drug_id"]) == {"new", "far", "nothing"}, "Drug Two was measured as drug-02"


def test_a_screen_of_fewer_than_ten_compounds_has_no_rows_and_a_remark(lake: Lake) -> None:
    few = Built(lake, drugs=9)
    assert few.parts == []
    assert list(few.remarks) == [SCREEN]
    assert "fewer than 10 compounds of the screen have a stated target" in few.remarks[SCREEN]
    assert {part.table for part in Built(lake, drugs=10).parts} >= {"left_out_drugs"}


def test_without_vectors_and_structures_there_are_no_rows_and_a_remark(built) -> None:
    assert built["bare"].parts == []
    assert "neither a vector nor a structure" in built["bare"].remarks[SCREEN]


def test_of_noise_everything_abstains_with_the_reason(built) -> None:
    noise = built["noise"]
    about = noise.read("unscreened_drugs")
    assert about["abstained"].all()
    assert set(about["reason"]) == {
        "drugs of this screen are predicted no better than by its mean profile"
    }
    assert not noise.tables["unscreened_drug_responses"].parts
    assert "not shown to be better" in noise.remarks[SCREEN]
    for name in ("unscreened_drug_scores", "left_out_drugs", "unscreened_drugs"):
        assert noise.failed(name) == ()


def test_a_second_build_computes_nothing_and_other_facts_do(lake: Lake, built, monkeypatch) -> None:
    def computed(*_: object) -> None:
        raise AssertionError("it is computed already")

    monkeypatch.setattr("genept.models.unscreened_drugs.unscreened_tables._compute", computed)
    assert Built(lake).parts == built["whole"].parts
    with pytest.raises(AssertionError, match="computed already"):
        Built(
            lake, vectors=True, note="another origin, as of an edited list", redistributable=False
        )


@pytest.mark.parametrize(("restricted", "kept"), [(False, True), (True, False)])
def test_what_is_made_of_a_restricted_list_is_not_passed_on(
    lake: Lake, restricted: bool, kept: bool
) -> None:
    """The screen itself may be passed on; what is known of its drugs may not."""
    terms = {"redistributable": False, "source": "gdsc-compounds"} if restricted else {}
    made = Built(lake, **terms)
    open_ = declared_frame(TABLES["collections"], 1, partition=(SCREEN,))
    collections = stored(made.lake, "collections", open_.with_columns(redistributable=True), SCREEN)
    tables = {
        **made.tables,
        "collections": StoredTable("collections", (collections,)),
        "embedding_origins": made.lake.assemble("embedding_origins", []),
    }
    passed, _ = passed_on(made.lake, tables, "leave_out")
    assert {name for name in UNSCREENED if passed[name].parts} == (
        set(UNSCREENED) if kept else set()
    )


def test_screens_without_lines_of_their_own_are_not_built(lake: Lake) -> None:
    screen = planted(11)
    tables = ingested(lake, screen, drugs=9) | {
        "drug_responses": lake.assemble("drug_responses", [])
    }
    of = CollectionTables(lake, tables, [a_collection("zscore")], [])
    assert build_unscreened(of, *listed(lake, screen), {}) == ([], {})
    assert build_unscreened(replace(of, collections=[]), *listed(lake, screen), {}) == ([], {})
    assert {TEXT, ONTOLOGY} == set(screen.spaces)


@pytest.mark.parametrize(
    "function",
    [
        mean_score, expression_features, read_views, read_spaces, embedding_matrix, key_of,
        grouped_folds, principal_components, refuse_leak,
    ],
)  # fmt: skip
def test_a_step_depends_on_the_code_that_decides_its_rows(function: Callable[..., Any]) -> None:
    assert any(f"{function.__module__}.".startswith(f"{name}.") for name in _CODE), function
