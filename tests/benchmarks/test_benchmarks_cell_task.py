"""The cell task on planted cells in a real lake: found by knowledge, beside every control."""

import numpy as np
import polars as pl
import pytest
from planted import a_collection, in_every_space, ingest_parsed, numbered_reference, parsed_of

from genept.benchmarks.cell_task import EXPRESSION_CONTROL, TASK, annotate_cell_types
from genept.store.lake import Lake
from genept.tables import TABLES

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
        [f"cell-{one:03d}" for one in rng.permutation(N_CELLS)],
        groups=[f"lane-{row % 4}" for row in range(N_CELLS)],
        labels={"cell_type": labels},
    )


@pytest.fixture
def parts(lake: Lake, monkeypatch):
    ingested = ingest_parsed(monkeypatch, lake, planted_cells(), REFERENCE, COLLECTION)
    return in_every_space(lake, ingested, COLLECTION, REFERENCE["ensembl_gene_id"].to_list())


def test_planted_types_are_found_beside_every_control(lake: Lake, parts):
    part = annotate_cell_types(lake, COLLECTION.id, COLLECTION.unit, parts)
    assert (part.table, part.partition) == ("benchmark_results", (TASK, COLLECTION.id))
    scores = lake.read(part)
    assert not scores.select(TABLES["benchmark_results"].key).is_duplicated().any()
    accuracy = scores.filter(metric="accuracy").rows_by_key(
        "representation", named=True, unique=True
    )
    assert {name: row["is_control"] for name, row in accuracy.items()} == {
        "minilm-l6-v2/name-go:genept-w": False,
        "random-384/name-go:genept-w": True,
        "minilm-l6-v2/name-go:genept-w:centred": False,
        "random-384/name-go:genept-w:centred": True,
        EXPRESSION_CONTROL: True,
        "majority-class": True,
    }
    for name, row in accuracy.items():
        assert (row["value"] > 0.9) == (name != "majority-class")
    labelled = lake.read(parts.observations).filter(pl.col("cell_type").is_not_null()).height
    assert labelled == 180
    assert set(scores["n"]) == {36}, "20 % of the cells that have a type"


def test_the_task_is_done_once(lake: Lake, parts, monkeypatch):
    first = annotate_cell_types(lake, COLLECTION.id, COLLECTION.unit, parts)

    def refuse(*_):
        raise AssertionError("it is scored already")

    monkeypatch.setattr("genept.benchmarks.cell_task.read_views", refuse)
    assert annotate_cell_types(lake, COLLECTION.id, COLLECTION.unit, parts) == first
    fewer = type(parts)(**vars(parts) | {"embeddings": dict(list(parts.embeddings.items())[:1])})
    with pytest.raises(AssertionError, match="already"):
        annotate_cell_types(lake, COLLECTION.id, COLLECTION.unit, fewer)
