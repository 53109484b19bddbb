"""Declared hosted embedders, how their tokens are counted, and how texts become requests."""

import hashlib
import sys
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_folders import toy_tokenizer
from pydantic import SecretStr, ValidationError

from genept.client.platform import Platform
from genept.common.errors import SourceError
from genept.common.settings import Settings
from genept.text import limits
from genept.text.embedders import RefusedEmbeddingError, TextEmbedder
from genept.text.hosted.answers import packed_requests
from genept.text.hosted.hosted_models import HostedModel, load_embedders
from genept.text.hosted.openai import OpenAIEmbedder
from genept.text.limits import TokenCounter

MODEL = HostedModel(
    id="m", model="m", dimensions=4, max_tokens=10, request_tokens=30, request_texts=4,
    dollars_per_million_tokens=1,
)  # fmt: skip


def test_the_shipped_embedders_have_their_published_prices_and_sizes():
    shipped = load_embedders()
    stated = {
        embedder.id: (embedder.dollars_per_million_tokens, embedder.dimensions, embedder.max_tokens)
        for embedder in shipped.values()
    }
    assert stated == {
        "text-embedding-3-small": (0.02, 1536, 8192),
        "text-embedding-3-large": (0.13, 3072, 8192),
        "text-embedding-3-large-1024": (0.13, 1024, 8192),
        "text-embedding-ada-002": (0.10, 1536, 8192),
        "nomic-embed-text-v1.5": (0, 768, 8192),
        "qwen3-embedding-0.6b": (0, 1024, 8192),
    }
    for name in stated:
        if name.startswith("text-embedding-"):  # OpenAI's limits of a request
            embedder = shipped[name]
            assert (embedder.request_tokens, embedder.request_texts) == (300_000, 2048)
            assert embedder.batch_price == 0.5
    assert "text-embedding-ada-002-v2" in shipped["text-embedding-ada-002"].answers_as


def test_a_file_of_ones_own_adds_embedders_and_replaces_none(tmp_path):
    own = tmp_path / "own.toml"
    entry = 'model = "nomic"\ndimensions = 768\nmax_tokens = 2048\ndollars_per_million_tokens = 0\n'
    own.write_text(f'[embedders.local]\nbase_url = "http://127.0.0.1:9/v1"\n{entry}')
    assert set(load_embedders(own)) == {*load_embedders(), "local"}
    for id_, text, complaint in [
        ("again", f"[embedders.text-embedding-3-small]\n{entry}", "choose another id"),
        ("typo", f"[embedders.x]\nmodle = 1\n{entry}", "modle"),
        ("broken", "[embedders", "cannot be used"),
        ("other", "[things.x]\n", r"\[embedders.ID\]"),
    ]:
        (tmp_path / id_).write_text(text)
        with pytest.raises(RefusedEmbeddingError, match=complaint):
            load_embedders(tmp_path / id_)
    with pytest.raises(RefusedEmbeddingError, match="nowhere.toml"):
        load_embedders(tmp_path / "nowhere.toml")


def test_a_network_that_is_not_run_here_needs_the_address_of_a_server(tmp_path):
    settings = Settings(state_dir=tmp_path, openai_api_key=SecretStr("any"))
    hosted = Platform(settings).hosted
    reason = hosted.unavailable("qwen3-embedding-0.6b")
    assert "needs an OpenAI-compatible server that runs Qwen/Qwen3-Embedding-0.6B" in reason
    with pytest.raises(RefusedEmbeddingError, match="GENEPT_EMBEDDERS"):
        hosted.open("qwen3-embedding-0.6b")
    own = tmp_path / "own.toml"
    own.write_text('[embedders."qwen3-embedding-0.6b"]\nbase_url = "http://127.0.0.1:9/v1"\n')
    hosted = Platform(settings.with_options({"embedders": own})).hosted
    assert hosted.unavailable("qwen3-embedding-0.6b") is None
    embedder = hosted.open("qwen3-embedding-0.6b")
    assert embedder.base_url == "http://127.0.0.1:9/v1"
    assert embedder.declared.query_prefix.startswith("Instruct: ")
    own.write_text('[embedders."qwen3-embedding-0.6b"]\ndimensions = 5\n')
    with pytest.raises(RefusedEmbeddingError, match="choose another id"):
        _ = Platform(settings.with_options({"embedders": own})).hosted


def test_a_models_own_tokenizer_counts(tmp_path):
    toy_tokenizer().save(str(tmp_path / "tokenizer.json"))
    declared = MODEL.model_copy(update={"tokenizer": tmp_path / "tokenizer.json"})
    embedder = OpenAIEmbedder(declared, SecretStr("k"), "http://a/v1")
    assert embedder.count_tokens(["w1 w2 w3", "w1 " * 300]) == [5, 302]  # with [CLS] and [SEP]
    assert embedder.counted_by == "tokenizer tokenizer.json"
    prefixed = declared.model_copy(update={"passage_prefix": "w1 : "})
    assert OpenAIEmbedder(prefixed, SecretStr("k")).count_tokens(["w1 w2 w3"]) == [7]
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(SourceError, match=r"tokenizer\.json cannot be read"):
        OpenAIEmbedder(declared, SecretStr("k"), "http://a/v1").count_tokens(["w1"])


def test_a_text_must_fit_a_request():
    with pytest.raises(ValidationError, match="lower `max_tokens`"):
        HostedModel(**MODEL.model_dump() | {"request_tokens": 9})


def test_a_hosted_space_needs_a_key_and_says_so(tmp_path):
    name = "text-embedding-3-small/name"
    without = Platform(Settings(state_dir=tmp_path, spaces=(name,)))
    with pytest.raises(ValueError, match="not available: .* set GENEPT_OPENAI_API_KEY"):
        _ = without.spaces
    settings = Settings(state_dir=tmp_path, spaces=(name,), openai_api_key=SecretStr("sk-marker"))
    platform = Platform(settings)
    assert [space.id for space in platform.spaces] == [name]
    embedder: TextEmbedder = platform.embedders.open("text-embedding-3-small")
    assert (embedder.id, embedder.dimensions) == ("text-embedding-3-small", 1536)
    assert "sk-marker" not in repr(settings) + repr(platform.hosted) + repr(embedder)
    unasked = Platform(Settings(state_dir=tmp_path, openai_api_key=SecretStr("sk-marker")))
    assert not any(space.embedder.startswith("text-") for space in unasked.spaces)


def test_without_a_vocabulary_tokens_are_estimated_and_no_network_is_asked(monkeypatch, tmp_path):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setitem(sys.modules, "tiktoken", None)  # importing it would raise
    counter = TokenCounter("cl100k_base")
    assert not counter.is_exact
    assert counter.basis.startswith("estimate: one token for every 3 bytes")
    assert counter.count(["", "a", "abc", "abcd", "β" * 3]) == [0, 1, 1, 2, 2]


def test_with_its_vocabulary_on_disk_tiktoken_counts(monkeypatch, tmp_path):
    vocabulary = b"the vocabulary"
    name = limits.VOCABULARIES["cl100k_base"][0]
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setitem(
        limits.VOCABULARIES, "cl100k_base", (name, hashlib.sha256(vocabulary).hexdigest())
    )
    encoding = types.SimpleNamespace(encode_ordinary_batch=lambda texts: [t.split() for t in texts])
    fake = types.SimpleNamespace(get_encoding=lambda _: encoding)
    monkeypatch.setitem(sys.modules, "tiktoken", fake)
    (tmp_path / name).write_bytes(b"damaged: tiktoken would fetch it again")
    assert not TokenCounter("cl100k_base").is_exact
    (tmp_path / name).write_bytes(vocabulary)
    counter = TokenCounter("cl100k_base")
    assert counter.basis == "tiktoken cl100k_base"
    assert counter.count(["one two three"]) == [3]
    assert not TokenCounter("another").is_exact
    assert not TokenCounter(None).is_exact


@given(st.lists(st.tuples(st.text("ab", min_size=1, max_size=5), st.integers(1, 14)), max_size=40))
def test_requests_hold_every_text_once_and_keep_all_limits(pairs):
    texts = [f"{number}{text}" for number, (text, _) in enumerate(pairs)]
    counts = {text: n for text, (_, n) in zip(texts, pairs, strict=True)}
    requests = packed_requests(texts, list(counts.values()), MODEL, is_exact=False)
    assert sorted(text for request in requests for text in request) == sorted(texts)
    for request in requests:
        n_tokens = sum(counts[text] for text in request)
        assert len(request) <= 4
        assert n_tokens <= 30
        assert len(request) == 1 or max(counts[text] for text in request) <= 10


def test_what_cannot_be_sent_is_refused_by_name():
    with pytest.raises(RefusedEmbeddingError, match=r"text [0-9a-f]{16}… \('long'\) has 11 tokens"):
        packed_requests(["ok", "long"], [1, 11], MODEL, is_exact=True)
    with pytest.raises(RefusedEmbeddingError, match=r"\(' '\) is empty: leave it out"):
        packed_requests(["ok", " "], [1, 1], MODEL, is_exact=False)
