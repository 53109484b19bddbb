"""The contract of vectors, and spaces: their names, the default, and how a run chooses."""

from __future__ import annotations

import numpy as np
import pytest

from genept.common.errors import SourceError
from genept.text.declared_spaces import chosen_spaces, declared_spaces
from genept.text.embedders import (
    EmbeddingError,
    Space,
    TextEmbedder,
    space_of,
    validate_vectors,
)
from genept.text.local.baselines import LSA, RandomVectors

SPACES = tuple(space for space, is_released in declared_spaces().items() if is_released)


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


def test_a_space_is_named_after_embedder_and_recipe():
    assert Space("minilm-l6-v2", "name-go").id == "minilm-l6-v2/name-go"
    assert len({space.id for space in SPACES}) == len(SPACES)


def test_the_default_carries_knowledge_and_a_control_stands_beside_it():
    assert not SPACES[0].is_control
    controls = [space for space in SPACES if space.is_control]
    assert SPACES[0].recipe in {space.recipe for space in controls}
    assert {(space.embedder, space.variant) for space in controls} == {
        ("random-384", None), ("minilm-l6-v2", "shuffled")
    }  # fmt: skip


def test_all_spaces_unless_some_are_named():
    assert chosen_spaces(()) == SPACES
    two = ("random-384/name-go", "minilm-l6-v2/name-go", "random-384/name-go")
    assert [space.id for space in chosen_spaces(two)] == [
        "minilm-l6-v2/name-go",
        "random-384/name-go",
    ]


def test_an_unknown_space_is_named_beside_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown spaces \['minilm/go'\]; known are .*lsa-384"):
        chosen_spaces(["minilm/go", "lsa-384/name-go"])


def test_a_space_that_is_not_released_unasked_may_be_asked_for():
    ncbi = space_of("minilm-l6-v2/ncbi")
    assert declared_spaces()[ncbi] is False
    assert ncbi not in chosen_spaces(())
    assert chosen_spaces([ncbi.id]) == (ncbi,)


def test_registered_tables_come_after_the_declared_spaces():
    own = space_of("scgpt/whole-human", table="f" * 64)
    assert chosen_spaces((), own=[own]) == (*SPACES, own)
    assert not own.needs_embedder


@pytest.mark.parametrize(
    ("id_", "reason"),
    [
        ("minilm", "is no space"),
        ("MiniLM/name", "is no space"),
        ("a/b/c", "is no space"),
        ("a/..", "is no space"),
        ("minilm-l6-v2/name@permuted", "is no space"),
        ("random-384/name@shuffled", "random and registered vectors are not shuffled"),
    ],
)
def test_what_is_no_space_is_refused(id_, reason):
    with pytest.raises(ValueError, match=reason):
        space_of(id_)


def test_spaces_of_ones_own_recipes(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[[spaces]]\nid = "lsa-64/mine"\n[[spaces]]\nid = "lsa-64/mine@shuffled"\n')
    *_, mine, control = declared_spaces(path)
    assert (mine.id, mine.is_control, control.is_control) == ("lsa-64/mine", False, True)
    path.write_text('[[spaces]]\nid = "lsa-64/mine"\nrelaesed = false\n')
    with pytest.raises(SourceError, match=r"unknown keys \['relaesed'\]"):
        declared_spaces.__wrapped__(path)
    path.write_text('[[spaces]]\nid = "minilm-l6-v2/name"\n')
    with pytest.raises(SourceError, match="declared twice"):
        declared_spaces.__wrapped__(path)
