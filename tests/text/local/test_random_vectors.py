"""The random control: reproducible, blind to order and company, and of no direction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genept.text.embedders import EmbeddingError, validate_vectors
from genept.text.local.baselines import RandomVectors

GENES = [f"ENSG{number:011d}" for number in range(400)]


@given(st.permutations(range(12)), st.integers(1, 12))
def test_a_vector_depends_on_its_key_alone(order: list[int], taken: int) -> None:
    control = RandomVectors(16)
    chosen = order[:taken]
    np.testing.assert_array_equal(
        RandomVectors(16).embed([GENES[i] for i in chosen]), control.embed(GENES[:12])[chosen]
    )


def test_vectors_are_unit_and_nearly_orthogonal() -> None:
    vectors = RandomVectors().embed(GENES)
    validate_vectors(vectors, 400, 384)
    cosines = (vectors @ vectors.T)[~np.eye(400, dtype=bool)]
    # Cosines of independent directions have mean 0 and standard deviation 1/sqrt(dimensions).
    assert abs(cosines.mean()) < 0.002
    assert cosines.std() == pytest.approx(1 / np.sqrt(384), rel=0.05)
    assert np.abs(vectors.mean(axis=0)).max() < 5 / np.sqrt(384 * 400)


def test_another_seed_is_an_independent_control() -> None:
    first, second = RandomVectors(seed=0), RandomVectors(seed=1)
    assert first.id == second.id == "random-384"
    assert first.identity != second.identity
    agreement = (first.embed(GENES) * second.embed(GENES)).sum(axis=1)
    assert np.abs(agreement).max() < 0.3


def test_other_dimensions_have_another_name() -> None:
    assert RandomVectors(50).id == "random-50"
    assert RandomVectors(50).embed(GENES[:3]).shape == (3, 50)
    with pytest.raises(ValueError, match="at least one dimension, got 0"):
        RandomVectors(0)


def test_empty_key_is_refused() -> None:
    with pytest.raises(EmbeddingError, match="key 1 is empty"):
        RandomVectors().embed([GENES[0], ""])
