"""Encoders of the BERT family on toy models: batching, tokenising, pooling, prefixes, cuts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_folders import toy_folder
from reference_bert import TOY_WORDS, random_weights, sentence_vector, token_vectors

from genept.text.embedders import (
    EmbeddingError,
    QueryEmbedder,
    UnusableModelError,
    validate_vectors,
)
from genept.text.local import bert
from genept.text.local.bert import BertEmbedder
from genept.text.local.local_models import local_model
from genept.text.local.model_files import files_of
from genept.text.local.opening import open_local_model

WEIGHTS = random_weights()
Toy = Callable[..., BertEmbedder]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_folder(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def opened(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """Opens the toy model; keywords change its declaration."""
    graphs = tmp_path_factory.mktemp("graphs")

    def open_(**changes: Any) -> BertEmbedder:
        entry = {"id": "toy", "kind": "bert", "folder": folder, "max_tokens": 256} | changes
        model = local_model(entry)
        embedder = open_local_model(model, files_of(model, None, ()), graphs, threads=1)
        assert isinstance(embedder, BertEmbedder)
        return embedder

    return open_


@pytest.fixture(scope="module")
def toy(opened: Toy) -> BertEmbedder:
    return opened()


def sentences(n: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(TOY_WORDS, size)) for size in rng.integers(1, 60, n)]


def token_ids(text: str) -> list[int]:
    words = [*TOY_WORDS, "query", ":"]
    return [2, *(words.index(word) + 4 for word in text.split()), 3]


def test_vectors_are_the_networks_in_input_order(toy: BertEmbedder) -> None:
    texts = sentences(60)
    vectors = toy.embed(texts)
    validate_vectors(vectors, len(texts), 48)
    expected = [sentence_vector(WEIGHTS, token_ids(text), 12) for text in texts]
    np.testing.assert_allclose(vectors, np.array(expected), atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("dimensions", [None, 20])
def test_pooling_length_and_cut_are_as_declared(
    opened: Toy, pooling: str, normalised: bool, dimensions: int | None
) -> None:
    texts = sentences(20, seed=1)
    embedder = opened(pooling=pooling, normalised=normalised, dimensions=dimensions)
    expected = []
    for text in texts:
        tokens = token_vectors(WEIGHTS, token_ids(text), 12)
        vector = {"mean": tokens.mean(axis=0), "cls": tokens[0], "last": tokens[-1]}[pooling]
        vector = vector[:dimensions]
        expected.append(vector / np.linalg.norm(vector) if normalised else vector)
    vectors = embedder.embed(texts)
    validate_vectors(vectors, len(texts), dimensions or 48, unit_norm=normalised)
    np.testing.assert_allclose(vectors, np.array(expected), atol=2e-5)
    assert embedder.unit_norm is normalised
    assert embedder.dimensions == (dimensions or 48)


def test_queries_and_passages_have_prefixes_of_their_own(opened: Toy, toy: BertEmbedder) -> None:
    texts = sentences(5)
    embedder = opened(query_prefix="query : ", passage_prefix="w7 : ")
    assert isinstance(embedder, QueryEmbedder)
    queries, passages = embedder.for_queries().embed(texts), embedder.embed(texts)
    np.testing.assert_allclose(queries, toy.embed([f"query : {text}" for text in texts]), atol=1e-6)
    np.testing.assert_allclose(passages, toy.embed([f"w7 : {text}" for text in texts]), atol=1e-6)
    assert np.abs(queries - passages).max() > 1e-3
    np.testing.assert_array_equal(toy.for_queries().embed(texts), toy.embed(texts))
    assert toy.for_queries().identity == toy.identity
    assert embedder.for_queries().identity != embedder.identity


@pytest.mark.parametrize("prefix", ["", "query : "])
@pytest.mark.parametrize("empty", ["", "  \n", "\x00", "\u200b"])
def test_text_without_tokens_is_refused_by_its_index(opened: Toy, prefix: str, empty: str) -> None:
    with pytest.raises(EmbeddingError, match="text 3 is empty or has no readable token"):
        opened(passage_prefix=prefix).embed(["w1", "w2", "w1", empty, "w3", empty])


def test_nothing_to_embed(toy: BertEmbedder) -> None:
    assert toy.embed([]).shape == (0, 48)
    assert toy.count_tokens([]) == []


def test_identity_changes_with_whatever_changes_vectors(opened: Toy, toy: BertEmbedder) -> None:
    changes: list[dict[str, Any]] = [
        {}, {"pooling": "cls"}, {"pooling": "last"}, {"normalised": False}, {"dimensions": 20},
        {"passage_prefix": "w7 : "}, {"max_tokens": 100}, {"id": "other"},
    ]  # fmt: skip
    assert len({opened(**change).identity for change in changes}) == len(changes)
    unchanged: list[dict[str, Any]] = [{"dimensions": 48}, {"query_prefix": "w7 : "}]
    assert {opened(**change).identity for change in unchanged} == {toy.identity}


class RecordingSession:
    """Passes batches on to the real session and keeps their masks."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.masks: list[np.ndarray] = []

    def run(self, names: list[str], feed: dict[str, np.ndarray]) -> Any:
        self.masks.append(feed["attention_mask"])
        return self.session.run(names, feed)


@pytest.fixture
def recorded(toy: BertEmbedder, monkeypatch: pytest.MonkeyPatch) -> RecordingSession:
    session = RecordingSession(toy.session)
    monkeypatch.setattr(toy, "session", session)
    return session


def test_a_text_is_embedded_once(toy: BertEmbedder, recorded: RecordingSession) -> None:
    vectors = toy.embed(["w1 w2", "w3", "w1 w2", "w1 w2", "w3"])
    assert sum(len(mask) for mask in recorded.masks) == 2
    np.testing.assert_array_equal(vectors[[0, 0, 1]], vectors[[2, 3, 4]])
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


def test_batches_keep_the_budget_and_waste_little_padding(
    toy: BertEmbedder, recorded: RecordingSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bert, "BATCH_TOKENS", 1000)
    toy.embed(sentences(500))
    assert all(mask.size <= 1000 for mask in recorded.masks)
    assert len(recorded.masks) > 1
    padded = sum(mask.size for mask in recorded.masks)
    assert sum(int(mask.sum()) for mask in recorded.masks) > 0.9 * padded


def test_a_text_longer_than_the_budget_is_a_batch_of_its_own(
    toy: BertEmbedder, recorded: RecordingSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bert, "BATCH_TOKENS", 8)
    toy.embed(["w1 " * 20, "w2 " * 19, "w3", "w4", "w5"])
    assert [mask.shape for mask in recorded.masks] == [(1, 22), (1, 21), (2, 3), (1, 3)]


def test_texts_are_cut_at_256_tokens_and_counted_whole(
    toy: BertEmbedder, recorded: RecordingSession
) -> None:
    words = TOY_WORDS * 4
    fits, cut = " ".join(words[:254]), " ".join(words[:300])
    assert toy.count_tokens([fits, cut, "w1"]) == [256, 302, 3]
    vectors = toy.embed([fits, cut])
    assert [mask.shape for mask in recorded.masks] == [(2, 256)]
    np.testing.assert_array_equal(vectors[0], vectors[1])


def test_more_dimensions_or_tokens_than_there_are_are_refused(opened: Toy) -> None:
    with pytest.raises(UnusableModelError, match="vectors of 48 dimensions, and 49 are declared"):
        opened(dimensions=49)
    with pytest.raises(UnusableModelError, match="reads 256 tokens, and max_tokens = 257"):
        opened(max_tokens=257, pooling="last")
