"""Cells annotated by the texts of labels: planted types are found, others are none of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from labelled_release import COLLECTION, DIMENSIONS, SPACE, TYPES, publish_labelled
from typer.testing import CliRunner

from genept.cli import describe_commands
from genept.client.platform import Platform
from genept.client.searching.search import SpaceSearch
from genept.client.searching.text_annotation import annotate_by_text
from genept.common.errors import StoreError
from genept.datasources.gene_ontology import OntologyTerm
from genept.storage.object_store import ObjectStore

WORDS = {name: np.eye(4, DIMENSIONS)[at] * 2 for at, name in enumerate(TYPES)}
ONTOLOGY = {"CL:0000236": OntologyTerm("B cell", "A B cell that is G1-negative.", (), {})}


@pytest.fixture(scope="module")
def search(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> SpaceSearch:
    settings = publish_labelled(object_store, tmp_path_factory.mktemp("annotated"))
    search = SpaceSearch(Platform(settings), SPACE)
    vars(search)["_embedder"] = embed
    vars(search.platform)["ontology"] = ONTOLOGY
    return search


def embed(texts: list[str]) -> np.ndarray:
    return np.array([
        sum((vector for word, vector in WORDS.items() if word in text), np.zeros(DIMENSIONS))
        for text in texts
    ]).astype(np.float32)  # fmt: skip


def true_types(ids: pl.Series) -> list[str]:
    return [TYPES[int(id_[1:]) % 4] for id_ in ids]


def test_cells_get_the_labels_that_were_named(search: SpaceSearch) -> None:
    found = annotate_by_text(search, COLLECTION, [*TYPES])
    rows = found.rows
    assert rows["observation_id"].is_unique().all()
    assert (rows["nearest"] == pl.Series(true_types(rows["observation_id"]))).mean() > 0.9
    sure = rows.drop_nulls("label")
    assert sure.height > 20
    assert (sure["label"] == sure["nearest"]).all()
    assert sure["probability"].min() >= 0.7
    assert (rows.filter(pl.col("label").is_null())["probability"] < 0.7).all()
    total = found.probabilities.select(pl.sum_horizontal(TYPES)).to_series()
    np.testing.assert_allclose(total, 1)
    assert rows["published"].to_list() == true_types(rows["observation_id"])
    evidence = {row["label"]: row for row in found.evidence.iter_rows(named=True)}
    assert sum(row["observations"] for row in evidence.values()) == sure.height
    assert evidence["neuron"]["published"] == "neuron"
    assert len(evidence["neuron"]["genes"]) == 5
    assert found.about["kind"]


def test_a_label_is_a_term_too_and_says_which_markers_its_text_names(search: SpaceSearch) -> None:
    found = annotate_by_text(search, COLLECTION, ["CL:0000236", "T cell", "monocyte", "neuron"])
    (row,) = found.evidence.filter(label="CL:0000236").to_dicts()
    assert (row["meaning"], row["terms"]) == ("B cell", ["CL:0000236"])
    share = found.rows.filter(pl.col("nearest") == "CL:0000236")["published"] == "B cell"
    assert share.mean() > 0.8
    assert row["expressed"] == []


def test_labels_are_compared_whatever_their_order(search: SpaceSearch) -> None:
    forwards, backwards = (annotate_by_text(search, COLLECTION, of) for of in (TYPES, TYPES[::-1]))
    assert forwards.rows["nearest"].equals(backwards.rows["nearest"])
    np.testing.assert_allclose(forwards.rows["probability"], backwards.rows["probability"])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["B cell"], "at least 2 different ones are needed.*1 are named"),
        ([], "0 are named"),
        (["B cell", "B cell "], "'B cell' is named twice"),
        (["B cell", " "], "one of them is empty"),
        (["B cell", "CL:9999999"], "no term CL:9999999"),
        (["B cell", "observation_id"], "cannot be called observation_id"),
    ],
)
def test_labels_that_cannot_be_compared_are_refused(
    search: SpaceSearch, labels: list[str], message: str
) -> None:
    with pytest.raises(StoreError, match=message):
        annotate_by_text(search, COLLECTION, labels)


def test_ids_without_the_ontologies_are_refused_with_what_to_do(
    search: SpaceSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(search.platform), "ontology", {})
    with pytest.raises(StoreError, match="sources fetch cellxgene-ontology-guide"):
        annotate_by_text(search, COLLECTION, ["CL:0000236", "T cell"])


def test_the_command_prints_and_writes(
    search: SpaceSearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(describe_commands, "Platform", lambda _: search.platform)
    monkeypatch.setattr(describe_commands, "SpaceSearch", lambda *_, **__: search)
    import typer

    app = typer.Typer()
    app.command()(describe_commands.annotate)
    names = tmp_path / "labels.txt"
    names.write_text("\ufeffT cell\n\nmonocyte\r\nneuron\n", encoding="utf-8")
    out = tmp_path / "cells.csv"
    run = CliRunner().invoke(
        app, [COLLECTION, " B cell ", "--labels", str(names), "--out", str(out)],
        catch_exceptions=False,
    )  # fmt: skip
    assert run.exit_code == 0
    assert "none of these, or not sure:" in run.stdout
    written = pl.read_csv(out)
    assert written.columns[-4:] == ["p(B cell)", "p(T cell)", "p(monocyte)", "p(neuron)"]
    assert written.height == 80
    lines = CliRunner().invoke(app, [COLLECTION, "B cell", "T cell", "--json"]).stdout.splitlines()
    assert {*json.loads(lines[0])} >= {"observation_id", "label", "probability"}
    names.write_bytes(b"T cell\xff\n")
    with pytest.raises(StoreError, match="not UTF-8 text"):
        CliRunner().invoke(app, [COLLECTION, "--labels", str(names)], catch_exceptions=False)
