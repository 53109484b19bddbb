"""Collections that lack what a task needs are told of, not tripped over."""

from __future__ import annotations

import pytest
from planted import ingest_parsed, numbered_reference, parsed_of

from genept.benchmarks.eligibility import too_few_cells, too_few_groups
from genept.store.lake import Lake


@pytest.fixture
def observations(lake: Lake, monkeypatch):
    def of(label: str, values: list[str | None], groups: int = 99):
        parsed = parsed_of(
            [[row + 1, 1] for row in range(len(values))],
            ["G1", "G2"],
            groups=[f"g{row % groups}" for row in range(len(values))],
            labels={label: values},
        )
        return ingest_parsed(monkeypatch, lake, parsed, numbered_reference(2))["observations"]

    return of


@pytest.mark.parametrize(
    ("types", "why"),
    [
        ([None] * 20, "no cell has a type"),
        (["T", "B", None] * 4, "only 8 cells have a type"),
        (["T"] * 20, "all cells are of one type"),
        (["T", "B"] * 10, None),
    ],
)
def test_cells(lake: Lake, observations, types, why):
    assert too_few_cells(lake, observations("cell_type", types)) == why


@pytest.mark.parametrize(
    ("diagnoses", "groups", "why"),
    [
        ([None] * 4, 9, "no sample has a diagnosis"),
        (["tumor"] * 9, 9, "all samples have one diagnosis"),
        (["tumor", "normal"] * 5, 3, "fewer than 5 groups: 'normal' 3, 'tumor' 3"),
        (["tumor", "normal"] * 5, 10, None),
    ],
)
def test_groups(lake: Lake, observations, diagnoses, groups, why):
    found = too_few_groups(lake, observations("diagnosis", diagnoses, groups))
    assert found == why or (why and found and found.endswith(why))
