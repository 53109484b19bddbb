"""The cell task on planted cells in a real lake: planted types are found, beside every control."""

import numpy as np
import polars as pl
import pytest
from planted import a_collection, in_every_space, ingest_parsed, numbered_reference, parsed_of

from genept.benchmarks.cells.cell_task import CLUSTERS, EXPRESSION_CONTROL, MIXING, score_cells
from genept.benchmarks.cells.cell_types import TASK
from genept.schema.tables import TABLES
from genept.storage.lake import Lake

N_CELLS, N_GENES = 200, 80
REFERENCE = numbered_reference(N_GENES)
COLLECTION = a_collection("counts", kind="single_cell", id="planted-cells")


def planted_cells():
    """Three types that express a third of the genes each; every tenth cell has no type."""
    rng = np.random.default_rng(0)
    types = np.arange(N_CELLS) % 3
    rate = np.where(np.arange(N_GENES) % 3 == types[:, None], 4.0, 0.5)
    labels = [None if row % 10 == 0 else "BTM"[types[row]] for row in range(N_CELLS)]
    return parsed_of(
        rng.poisson(rate),
        REFERENCE["symbol"].to_list(),
        [f"cell-{number:03d}" for number in rng.permutation(N_CELLS)],
        groups=[f"lane-{row % 4}" for row in range(N_CELLS)],
        labels={"cell_type": labels},
    )


@pytest.fixture
def parts(lake: Lake, monkeypatch):
    ingested = ingest_parsed(monkeypatch, lake, planted_cells(), REFERENCE, COLLECTION)
    return in_every_space(lake, ingested, COLLECTION, REFERENCE["ensembl_gene_id"].to_list())


def test_planted_types_are_found_beside_every_control(lake: Lake, parts):
    results = score_cells(lake, COLLECTION.id, COLLECTION.unit, parts)
    of_results = [part for part in results if part.table == "benchmark_results"]
    assert [part.partition for part in of_results] == [
        (task, COLLECTION.id) for task in (TASK, CLUSTERS, MIXING)
    ]
    scores = lake.read(of_results)
    assert not scores.select(TABLES["benchmark_results"].key).is_duplicated().any()
    annotated = scores.filter(task=TASK, metric="accuracy")
    assert set(annotated["split"]) == {"random-80-20-seed-2023", "leave-group-out-4-fold"}
    exact = annotated.filter(split="random-80-20-seed-2023")
    accuracy = exact.rows_by_key("representation", named=True, unique=True)
    assert {name: row["is_control"] for name, row in accuracy.items()} == {
        "minilm-l6-v2/name-go:genept-w": False,
        "minilm-l6-v2/name-go:genept-w@permuted-labels": True,
        "random-384/name-go:genept-w": True,
        "minilm-l6-v2/name-go:genept-w:centred": False,
        "random-384/name-go:genept-w:centred": True,
        EXPRESSION_CONTROL: True,
        "majority-class": True,
    }
    for name, row in accuracy.items():
        assert (row["value"] > 0.9) == (name != "majority-class" and "@" not in name)
    labelled = lake.read(parts.observations).filter(pl.col("cell_type").is_not_null()).height
    assert labelled == 180
    assert set(exact["n"]) == {36}, "20 % of the cells that have a type"
    assert set(annotated.filter(split="leave-group-out-4-fold")["n"]) == {180}
    clusters = scores.filter(task=CLUSTERS, metric="ari")
    assert clusters["value"].min() > 0.8
    mixed = scores.filter(task=MIXING).pivot("metric", index="representation", values="value")
    assert mixed["knn_type_purity"].min() > 0.8
    assert mixed["knn_batch_mixing"].is_between(0.8, 1.2).all(), (
        "cells are assigned to lanes at random"
    )


def test_differences_are_reported_for_the_split_that_leaves_groups_out(lake: Lake, parts):
    results = score_cells(lake, COLLECTION.id, COLLECTION.unit, parts)
    (differences,) = [part for part in results if part.table == "benchmark_differences"]
    rows = lake.read(differences)
    assert set(rows["task"]) == {f"{TASK}/{COLLECTION.id}"}
    assert set(rows["split"]) == {"leave-group-out-4-fold"}
    permuted = rows.filter(pl.col("other").str.ends_with("@permuted-labels")).row(0, named=True)
    assert permuted["difference"] > 0.4
    assert permuted["p"] < 1e-3
    expression = rows.filter(other=EXPRESSION_CONTROL)
    assert expression["difference"].abs().max() < 0.1


def test_the_task_is_run_once(lake: Lake, parts, monkeypatch):
    first = score_cells(lake, COLLECTION.id, COLLECTION.unit, parts)

    def refuse(*_):
        raise AssertionError("it is scored already")

    monkeypatch.setattr("genept.benchmarks.cells.cell_task.read_views", refuse)
    assert score_cells(lake, COLLECTION.id, COLLECTION.unit, parts) == first
    fewer = type(parts)(**vars(parts) | {"embeddings": dict(list(parts.embeddings.items())[:1])})
    with pytest.raises(AssertionError, match="already"):
        score_cells(lake, COLLECTION.id, COLLECTION.unit, fewer)
