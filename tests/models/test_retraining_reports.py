"""Reports on models are drawn once, and again when what they show has changed."""

import polars as pl
import pytest
from declared_rows import declared_rows, store_table
from planted_models import MODEL, planted_rows, submitted

import genept.models.retraining_reports
from genept.models.diagnosis.diagnosis_retraining import retrain
from genept.models.heads import Contender
from genept.models.holdout import hold_out
from genept.models.registry import ModelRegistry
from genept.models.retraining_reports import model_reports, release_pages
from genept.schema.tables import TABLES
from genept.storage.lake import Lake


@pytest.fixture(scope="module")
def retrained():
    rows = planted_rows()
    holdout = hold_out(rows.ids, rows.groups, rows.groups, task=MODEL)
    return retrain(rows, holdout, [Contender("expression", "linear")], seed=0)


@pytest.fixture
def lake(object_store, store_prefix, tmp_path):
    return Lake(object_store, store_prefix, tmp_path)


def verdicts_of(lake, version):
    rows = pl.from_arrow(declared_rows(TABLES["gate_verdicts"])).head(1)
    named = rows.with_columns(model=pl.lit(MODEL), model_version=pl.lit(version))
    return store_table(
        lake, "gate_verdicts", named.to_arrow().cast(TABLES["gate_verdicts"].schema())
    )


def test_a_report_is_read_until_a_retraining_is_added(
    lake, object_store, store_prefix, retrained, monkeypatch
):
    registry = ModelRegistry(object_store, store_prefix)
    submitted(registry, retrained, "v1")
    verdicts = verdicts_of(lake, "v1")
    drawn = []
    draw = genept.models.retraining_reports.forgetting_picture
    monkeypatch.setattr(
        genept.models.retraining_reports,
        "forgetting_picture",
        lambda matrix: drawn.append(matrix.names) or draw(matrix),
    )
    first = model_reports(lake, registry, verdicts)
    assert model_reports(lake, registry, verdicts) == first
    assert len(drawn) == 1
    assert first[MODEL].picture.startswith(b"\x89PNG")
    assert release_pages(first)[f"models/{MODEL}.md"].decode() == first[MODEL].card

    submitted(registry, retrained, "v2")
    again = model_reports(lake, registry, verdicts)
    assert [len(names) for names in drawn] == [1, 2], "the matrix has a further column"
    assert again[MODEL].picture != first[MODEL].picture
