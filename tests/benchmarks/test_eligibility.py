"""Collections that do not meet the requirements of a task are reported, and stop no other task."""

from __future__ import annotations

import pytest
from planted import ingest_parsed, numbered_reference, parsed_of

from genept.benchmarks.cells.cell_task import too_few_cells
from genept.storage.lake import Lake


@pytest.fixture
def ingested(lake: Lake, monkeypatch):
    def ingest_labelled(label: str, values: list[str | None], n_genes: int = 60):
        genes = [f"G{number}" for number in range(1, n_genes + 1)]
        parsed = parsed_of(
            [[row + 1] + [1] * (n_genes - 1) for row in range(len(values))],
            genes,
            labels={label: values},
        )
        return ingest_parsed(monkeypatch, lake, parsed, numbered_reference(n_genes))

    return ingest_labelled


@pytest.mark.parametrize(
    ("types", "n_genes", "reason"),
    [
        ([None] * 20, 60, "no cell has a type"),
        (["T", "B", None] * 20, 60, "only 40 cells have a type"),
        (["T", "B"] * 40, 50, "only 50 genes"),
        (["T"] * 80, 60, "all cells are of one type"),
        (["T", "B"] * 40, 60, None),
    ],
)
def test_cells(lake: Lake, ingested, types, n_genes, reason):
    parts = ingested("cell_type", types, n_genes=n_genes)
    assert too_few_cells(lake, parts["observations"], parts["gene_axis"]) == reason
