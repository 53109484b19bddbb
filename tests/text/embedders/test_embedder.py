"""The contract of vectors: everything that breaks it is named."""

from __future__ import annotations

import numpy as np
import pytest

from genept.text.embedders.baselines import LSA, RandomVectors
from genept.text.embedders.embedder import EmbeddingError, TextEmbedder, validate_vectors


def unit_vectors(n: int = 5, dimensions: int = 8) -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(n, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_good_vectors_pass() -> None:
    validate_vectors(unit_vectors(), 5, 8)
    validate_vectors(np.empty((0, 8), dtype=np.float32), 0, 8)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (unit_vectors(4), r"each of 5 texts.*\(4, 8\)"),
        (unit_vectors()[0], r"each of 5 texts.*\(8,\)"),
        (unit_vectors(5, 7), "8 dimensions, got 7"),
        (unit_vectors().astype(np.float64), "float32 vectors, got float64"),
    ],
)
def test_wrong_count_dimension_and_dtype(vectors: np.ndarray, message: str) -> None:
    with pytest.raises(EmbeddingError, match=message):
        validate_vectors(vectors, 5, 8)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "row 2 is not finite at dimension 3: nan"),
        (np.inf, "row 2 is not finite at dimension 3: inf"),
        (3e38, "row 2 has length inf"),
        (0.9, "row 2 has length 1.*expected 1"),
    ],
)
def test_first_offending_row_is_named(value: float, message: str) -> None:
    vectors = unit_vectors()
    vectors[2, 3] = value
    vectors[4] = 0
    with pytest.raises(EmbeddingError, match=message):
        validate_vectors(vectors, 5, 8)


def test_zero_vector_is_named() -> None:
    vectors = unit_vectors()
    vectors[4] = 0
    with pytest.raises(EmbeddingError, match="row 4 is all zero"):
        validate_vectors(vectors, 5, 8)


def test_length_within_tolerance_passes_and_beyond_fails() -> None:
    validate_vectors(unit_vectors() * np.float32(1.0009), 5, 8)
    with pytest.raises(EmbeddingError, match="row 0 has length"):
        validate_vectors(unit_vectors() * np.float32(1.002), 5, 8)


def test_every_local_embedder_keeps_the_contract() -> None:
    texts = ["alpha beta", "beta gamma", "gamma alpha beta", "alpha gamma"]
    embedders: list[TextEmbedder] = [RandomVectors(12), LSA.fit(texts, dimensions=2)]
    for embedder in embedders:
        validate_vectors(embedder.embed(texts), len(texts), embedder.dimensions)
        validate_vectors(embedder.embed([]), 0, embedder.dimensions)
        assert embedder.id.endswith(f"-{embedder.dimensions}")
        assert embedder.id in embedder.identity
        assert embedder.max_tokens is None
