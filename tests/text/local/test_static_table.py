"""Static embedders: the table, the mapping and the weights; against independent computations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from model_folders import toy_tokenizer
from reference_bert import TOY_WORDS
from safetensors.numpy import load, save_file
from tokenizers import Tokenizer

from genept.common.settings import Settings
from genept.datasources.download.archives import Archives
from genept.text.embedder_registry import Embedders
from genept.text.embedders import (
    EmbeddingError,
    TextEmbedder,
    UnusableModelError,
    validate_vectors,
)
from genept.text.local.local_models import local_model
from genept.text.local.model_files import files_of
from genept.text.local.opening import open_local_model

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(50, 8)).astype(np.float32)
MAPPING = RNG.integers(0, 50, 96)
WEIGHTS = RNG.uniform(0.2, 1, 96).astype(np.float32)
TEXTS = ["tumor protein p53", "forkhead box P3 (FOXP3), T cells", "TGF-β1 naïve 人 p53 " * 30]


def opened(folder: Path, tensors: dict[str, Any], **changes: Any) -> TextEmbedder:
    save_file(tensors, folder / "model.safetensors")
    toy_tokenizer().save(str(folder / "tokenizer.json"))
    model = local_model({"id": "toy", "kind": "static", "folder": folder} | changes)
    return open_local_model(model, files_of(model, None, ()), folder)


def expected(text: str, rows: Callable[[int], np.ndarray]) -> np.ndarray:
    tokens = [TOY_WORDS.index(word) + 4 for word in text.split()]
    mean = np.mean([rows(token) for token in tokens], axis=0)
    unit: np.ndarray = mean / np.linalg.norm(mean)
    return unit


def test_a_text_is_the_mean_of_its_tokens(tmp_path: Path) -> None:
    table = RNG.normal(size=(96, 8)).astype(np.float16)
    embedder = opened(tmp_path, {"embedding.weight": table})
    texts = ["w1 w2 w2", "w89"]
    vectors = embedder.embed(texts)
    validate_vectors(vectors, 2, 8)
    wanted = [expected(text, lambda token: table[token].astype(float)) for text in texts]
    np.testing.assert_allclose(vectors, wanted, atol=1e-6)
    assert embedder.embed([]).shape == (0, 8)


def test_tokens_may_share_rows_and_have_weights(tmp_path: Path) -> None:
    tensors = {"embeddings": TABLE, "mapping": MAPPING, "weights": WEIGHTS}
    embedder = opened(tmp_path, tensors, dimensions=5)
    wanted = expected("w1 w2 w2 w7", lambda token: WEIGHTS[token] * TABLE[MAPPING[token], :5])
    np.testing.assert_allclose(embedder.embed(["w1 w2 w2 w7"])[0], wanted, atol=1e-6)


@pytest.mark.parametrize("text", ["", " \n", "\u200b"])
def test_a_text_without_a_token_is_refused_by_its_index(tmp_path: Path, text: str) -> None:
    embedder = opened(tmp_path, {"embeddings": np.ones((96, 4), np.float32)})
    with pytest.raises(EmbeddingError, match="text 1 is empty or has no token with a vector"):
        embedder.embed(["w1", text])


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"other": TABLE}, r"has no table of vectors; it has \['other'\]"),
        ({"embeddings": TABLE[0]}, "has no table of vectors"),
        ({"embeddings": TABLE[:20], "mapping": MAPPING}, "rows that the table does not have"),
        (
            {"embeddings": TABLE, "mapping": MAPPING, "weights": WEIGHTS[:-1]},
            "`mapping` and `weights` are of different tokens",
        ),
    ],
)
def test_tables_that_do_not_fit_are_refused(
    tmp_path: Path, tensors: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UnusableModelError, match=reason):
        opened(tmp_path, tensors)


def test_more_dimensions_than_there_are_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableModelError, match="vectors of 8 dimensions, and 9 are declared"):
        opened(tmp_path, {"embeddings": TABLE}, dimensions=9)


# --- the published tables -----------------------------------------------------------------


@pytest.fixture
def published(
    real_archives: Archives, tmp_path: Path
) -> Callable[[str], tuple[TextEmbedder, ZipFile]]:
    embedders = Embedders(Settings(state_dir=tmp_path), real_archives)

    def open_(id_: str) -> tuple[TextEmbedder, ZipFile]:
        (source,) = embedders.sources(id_)
        return embedders.open(id_), ZipFile(real_archives.fetch(source))

    return open_


@pytest.mark.index
def test_wordllama_is_its_packages_mean(published: Any) -> None:
    embedder, wheel = published("wordllama-256")
    table = load(wheel.read("wordllama/weights/l2_supercat_256.safetensors"))["embedding.weight"]
    name = "wordllama/tokenizers/l2_supercat_tokenizer_config.json"
    tokenizer = Tokenizer.from_buffer(wheel.read(name))
    vectors = embedder.embed(TEXTS)
    validate_vectors(vectors, 3, 256)
    for text, vector in zip(TEXTS, vectors, strict=True):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        mean = table[ids].astype(np.float32).sum(axis=0) / len(ids)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)


@pytest.mark.index
def test_tokenlearn_weighs_tokens_as_its_package_does(published: Any) -> None:
    embedder, wheel = published("tokenlearn-64")
    vectors = embedder.embed(["tumor protein p53", "kinase", *TEXTS])
    validate_vectors(vectors, 5, 64)
    # What `static_model.get_embeddings` of the package returns for these texts.
    first = [[0.36656415, -0.07068894, -0.06678577, -0.03341043],
             [0.07389992, -0.11964162, 0.16465996, 0.17206734]]  # fmt: skip
    np.testing.assert_allclose(vectors[:2, :4], first, atol=1e-5)
    tensors = load(wheel.read("static_model/model/model.safetensors"))
    tokenizer = Tokenizer.from_buffer(wheel.read("static_model/model/tokenizer.json"))
    tokenizer.no_padding()
    for text, vector in zip(TEXTS, vectors[2:], strict=True):
        ids = tokenizer.encode(text, add_special_tokens=False).ids[:512]
        rows = tensors["embeddings"][tensors["mapping"][ids]].astype(float)
        mean = (rows * tensors["weights"][ids][:, None]).sum(axis=0)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)
