"""The four tables of a planted screen in a real lake: rows, remarks, steps, what is passed on."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from declared_rows import declared_frame
from planted import a_collection, ingest_parsed, numbered_reference, parsed_of
from planted_drugs import GENES, N_TARGETS, Planted, planted

from genept.embeddings import CollectionTables
from genept.models.unscreened_drugs import UNSCREENED, build_unscreened
from genept.models.unscreened_drugs.drug_kernels import ONTOLOGY, TEXT
from genept.release.staging import passed_on
from genept.schema.tables import TABLES
from genept.storage.lake import Lake
from genept.storage.provenance import NewPart, Origin, Part, StoredTable
from validation.checks import check_table

SCREEN = "planted"
REFERENCE = numbered_reference(40)
VARIANTS: dict[str, Any] = {
    "whole": {}, "noise": {"signal": 0.0}, "bare": {"vectors": False},
}  # fmt: skip


@pytest.fixture(scope="module")
def lake(object_store, tmp_path_factory) -> Lake:
    """One lake for all tests of this file."""
    prefix = f"tests/unscreened-{secrets.token_hex(4)}"
    return Lake(object_store, prefix, tmp_path_factory.mktemp("parts"))


def stored(lake: Lake, name: str, rows: pl.DataFrame, *partition: str, **more: Any) -> Part:
    """A part with these rows; settings of its origin, such as what may be passed on."""
    dimension = len(rows["embedding"][0]) if TABLES[name].vector else None
    settings = {"rows": str(rows.hash_rows().sum()), **more}
    new = NewPart(name, rows, partition, dimension)
    return lake.build(f"test/{name}", Origin((), settings=settings), lambda: [new])[0]


def ingested(lake: Lake, screen: Planted, *, drugs: int) -> dict[str, StoredTable]:
    """The screen as a parser would give it."""
    pairs, rows = screen.screen.pairs, screen.screen
    responses = pl.DataFrame(
        {
            "observation_id": rows.ids[pairs.line], "drug_id": rows.drugs[pairs.drug],
            "value": pairs.value, "measure": "ln_ic50", "unit": "ln(µM)",
        }
    )  # fmt: skip
    responses = responses.with_columns(n_measured=pl.lit(1, pl.Int64))
    responses = responses.filter(pl.col("drug_id").is_in(rows.drugs[:drugs].tolist()))
    features = next(iter(rows.features.values()))
    parsed = parsed_of(
        features, REFERENCE["symbol"].to_list(), rows.ids.tolist(), responses=responses,
        labels={"tissue": rows.tissues.tolist()},
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as monkeypatch:
        parts = ingest_parsed(monkeypatch, lake, parsed, REFERENCE, a_collection("zscore"))
    return {name: StoredTable(name, (part,)) for name, part in parts.items()}


def listed(lake: Lake, screen: Planted, **settings: Any) -> tuple[StoredTable, StoredTable]:
    """Tables `drugs` and `drug_targets`: those of the screen, and some that it did not measure."""
    more = {
        "new": (GENES[0], None), "far": (GENES[60], None), "nothing": (None, None),
        "Drug Two": (GENES[1], "drug-02"),
    }  # fmt: skip
    acts_on: dict[str, str | None] = {
        name: min(targets)
        for name, targets in zip(screen.drugs.names, screen.drugs.targets, strict=True)
    } | {name: target for name, (target, _) in more.items()}
    compound = {name: more[name][1] if name in more else name for name in acts_on}
    drugs = pl.DataFrame(
        [
            {
                "drug_id": name, "compound": compound[name], "synonyms": [],
                "redistributable": True, "n_targets": 1, "screens": [],
            }
            for name in sorted(acts_on)
        ],
        schema=declared_frame(TABLES["drugs"], 1).schema,
    )  # fmt: skip
    targets = pl.DataFrame(
        [
            {
                "drug_id": name, "token": target, "member": target, "outcome": "gene",
                "ensembl_gene_id": target, "evidence": "planted", "source": "planted",
            }
            for name, target in sorted(acts_on.items())
            if target
        ],
        schema=declared_frame(TABLES["drug_targets"], 1).schema,
    )  # fmt: skip
    drugs_part = stored(lake, "drugs", drugs, **settings)
    targets_part = stored(lake, "drug_targets", targets, **settings)
    return StoredTable("drugs", (drugs_part,)), StoredTable("drug_targets", (targets_part,))


def vectors_of(lake: Lake, screen: Planted) -> dict[str, Part]:
    parts = {}
    for name, space in screen.spaces.items():
        rows = declared_frame(TABLES["gene_embeddings"], len(GENES), partition=(name,))
        length = np.linalg.norm(space.vectors, axis=1, keepdims=True)
        rows = rows.with_columns(
            ensembl_gene_id=pl.Series(GENES),
            embedding=pl.Series((space.vectors / length).tolist(), dtype=pl.List(pl.Float32)),
        )
        parts[name] = stored(lake, "gene_embeddings", rows, name)
    return parts


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
