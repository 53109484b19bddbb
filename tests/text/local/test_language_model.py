"""A language model as an embedder: the real one, and declarations of others."""

from functools import partial

import numpy as np
import pytest

from genept.common import Settings
from genept.common.errors import SourceError
from genept.text.embedder_registry import Embedders
from genept.text.embedders import EmbeddingError, UnusableModelError
from genept.text.local import language_model
from genept.text.local.language_model import Engine, LanguageModelEmbedder, missing_extra
from genept.text.local.local_models import load_local_models, local_model

ID = "smollm2-135m"
TEXTS = (
    "tumor protein p53. apoptotic process; DNA damage response",
    "hemoglobin subunit beta. oxygen transport",
    "forkhead box P3",
)
needs_engine = pytest.mark.skipif(missing_extra() is not None, reason=f"{ID} {missing_extra()}")
DECLARED = {
    "id": "own", "kind": "language-model", "weights": "own.gguf", "dimensions": 8,
    "max_tokens": 64, "tokens_per_second": 10,
}  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory, real_archives):
    embedders = Embedders(Settings(state_dir=tmp_path_factory.mktemp("weights")), real_archives)
    return embedders.open(ID)._weights()


@pytest.fixture(scope="module")
def embedder(weights):
    return LanguageModelEmbedder(load_local_models()[ID], lambda: weights, "0" * 64, 10)


@pytest.mark.index
@needs_engine
def test_vectors_have_unit_length_and_are_of_their_text_alone(embedder):
    vectors = embedder.embed(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((3, 576), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(embedder.embed(TEXTS[::-1])[::-1], vectors, atol=1e-5)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-2
    assert embedder.embed([]).shape == (0, 576)


@pytest.mark.index
@needs_engine
@pytest.mark.parametrize(("pooling", "of_tokens"), [("mean", np.mean), ("last", None)])
def test_a_vector_is_pooled_of_the_states_of_the_tokens(weights, pooling, of_tokens):
    by_token = Engine(weights, "none", 512)
    states = np.array(by_token.post("/embedding", content=TEXTS[0])[0]["embedding"])
    assert states.shape == (len(by_token.tokens(TEXTS[0])), 576)
    expected = states.mean(axis=0) if of_tokens else states[-1]
    (pooled,) = Engine(weights, pooling, 512).states([TEXTS[0]])
    cosine = pooled @ expected / np.linalg.norm(pooled) / np.linalg.norm(expected)
    assert cosine == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(pooled, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.index
@needs_engine
def test_a_text_that_is_too_long_is_cut_after_its_first_tokens(weights):
    model = load_local_models()[ID].model_copy(update={"max_tokens": 16})
    short = LanguageModelEmbedder(model, lambda: weights, "0" * 64, 10)
    long = TEXTS[0] + " word" * 50
    (cut,) = short.embed([long])
    (states,) = short.engine.states([short.engine.tokens(long)[:16]])
    np.testing.assert_allclose(cut, states / np.linalg.norm(states), atol=1e-5)
    with pytest.raises(EmbeddingError, match="too large"):
        short.engine.states([long])


@pytest.mark.index
@needs_engine
def test_its_port_is_on_loopback_and_requires_its_key(embedder):
    import httpx

    assert embedder.engine.url.startswith("http://127.0.0.1:")
    answer = httpx.post(f"{embedder.engine.url}/embedding", json={"content": "x"}, timeout=10)
    assert answer.status_code == 401


@needs_engine
def test_empty_texts_are_refused_before_anything_is_started():
    never = partial(pytest.fail, "started")
    embedder = LanguageModelEmbedder(local_model(DECLARED), never, "0" * 64, 1)
    with pytest.raises(EmbeddingError, match="text 1 is empty"):
        embedder.embed(["a gene", " "])


@needs_engine
def test_a_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "own.gguf").write_bytes(b"nonsense" * 100)
    own = local_model(DECLARED | {"folder": str(tmp_path)})
    embedder = Embedders(Settings(state_dir=tmp_path / "s"), None).tried(own.model_dump())
    with pytest.raises(SourceError, match=r"own\.gguf of own"):
        embedder.embed(["a gene"])


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(language_model, "PACKAGE", "a_package_that_is_not_here")
    embedders = Embedders(Settings(state_dir=tmp_path), archives=None)
    assert embedders.unavailable(ID) == (
        f"{ID} runs on this machine by a_package_that_is_not_here, which is not installed: "
        "pip install 'genept-platform[llm]'"
    )
    with pytest.raises(UnusableModelError, match="genept-platform"):
        embedders.open(ID)


def test_minutes_are_turned_into_tokens_by_the_declared_speed():
    assert load_local_models()[ID].tokens_in(2.5) == 15_000


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tokens_per_second": None}, "needs tokens_per_second"),
        ({"dimensions": None, "max_tokens": None}, "needs dimensions, max_tokens"),
        ({"pooling": "cls"}, "pooling mean or last"),
        ({"query_prefix": "query: "}, "no prefixes"),
        ({"kind": "bert"}, "only a language model has `tokens_per_second`"),
        ({"source": "smollm2"}, "files of an archive are pinned"),
    ],
)
def test_a_wrong_declaration_says_why(change, reason):
    with pytest.raises(UnusableModelError, match=reason):
        local_model(DECLARED | change)
