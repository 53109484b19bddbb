"""Findings of whole matrices: dead dimensions, collapse, duplicates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validation.checks import matrix_findings

Matrix = npt.NDArray[np.float32]


def unit(matrix: npt.NDArray[np.float64]) -> Matrix:
    rows = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    return rows.astype(np.float32)


def spread(n: int = 500, dimensions: int = 200) -> Matrix:
    return unit(np.random.default_rng(0).normal(size=(n, dimensions)))


def test_a_well_spread_space_has_no_findings() -> None:
    assert matrix_findings("space", spread()) == ([], [])


@settings(max_examples=25)
@given(st.floats(-0.5, 0.5, width=32))
def test_dead_dimensions_are_found_whatever_their_value(value: float) -> None:
    """Also where the mean of equal float32 values is not that value."""
    matrix = spread(2000)
    matrix[:, :2] = value
    assert matrix_findings("space", matrix)[0] == [], "one of a hundred may be dead"
    matrix[:, 2] = value
    assert matrix_findings("space", matrix)[0] == ["space: 3 of 200 dimensions never vary"]


def test_a_dimension_with_tiny_variation_is_dead() -> None:
    matrix = spread()
    matrix[:, :3] = matrix[:, :3] * 1e-9
    assert matrix_findings("space", matrix)[0] == ["space: 3 of 200 dimensions never vary"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_not_finite_is_found(value: float) -> None:
    matrix = spread()
    matrix[7, 3] = value
    assert matrix_findings("space", matrix) == (["space: values that are not finite"], [])


def test_a_collapsed_space_gives_a_warning() -> None:
    rng = np.random.default_rng(1)
    collapsed = unit(1 + rng.normal(scale=1e-3, size=(500, 200)))
    close = unit(1 + rng.normal(scale=1e-2, size=(500, 200)))
    failed, warnings = matrix_findings("space", collapsed)
    assert failed == []
    assert len(warnings) == 1
    assert warnings[0].startswith("space: vectors hardly differ (mean cosine 0.99999")
    assert matrix_findings("space", close) == ([], [])


def test_many_equal_vectors_give_a_warning() -> None:
    matrix = spread()
    matrix[1:100] = matrix[0]
    assert matrix_findings("space", matrix) == ([], [])
    matrix[1:151] = matrix[0]
    assert matrix_findings("space", matrix)[1] == ["space: 30.0% of the vectors equal another one"]


@pytest.mark.parametrize("n", [0, 1])
def test_a_space_of_too_few_vectors_gives_a_warning(n: int) -> None:
    assert matrix_findings("space", spread()[:n]) == (
        [],
        [f"space: {n} vectors, too few to judge the space"],
    )
