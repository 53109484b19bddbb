"""Hosted embedders against a real service on loopback that fails in every way that is known."""

import numpy as np
import pytest
from loopback_openai import LoopbackService, serving
from pydantic import SecretStr

from genept.common.settings import Settings
from genept.text.cached_embedding import embed_through_cache
from genept.text.embedder_registry import Embedders
from genept.text.embedders import RefusedEmbeddingError, validate_vectors
from genept.text.hosted.hosted_models import HostedModel
from genept.text.hosted.ledger import all_payments
from genept.text.hosted.openai import OpenAIEmbedder
from genept.text.hosted.service import RequestPolicy
from genept.text.local.baselines import RandomVectors
from genept.text.vector_cache import VectorCache, forecast

KEY = "sk-marker-of-the-tests"
TEXTS = [f"gene {number} does this" for number in range(6)]
TOKENS = 4
MODEL = HostedModel(
    id="loopback", model="loopback-48", dimensions=48, max_tokens=100, dollars_per_million_tokens=1
)
QUICK = RequestPolicy(connect=2, read=0.6, attempts=4, first_wait=0.01, longest_wait=0.5)

# fault(s) met, what becomes of it, texts the service worked on in all, answers that never came
FAULTS = {
    "no fault": ([], "kept", 6, 0),
    "429 twice": (["429", "429"], "kept", 6, 0),
    "429 with Retry-After": (["429 retry-after"], "kept", 6, 0),
    "500": (["500"], "kept", 6, 0),
    "hang": (["hang"], "kept", 6, 1),
    "reset": (["reset"], "kept", 6, 1),
    # The service did the work; what came back could not be read. It is asked again, and where
    # the work is what costs, charged again: no client can know better. The payment says so.
    "truncated JSON": (["truncated"], "kept", 12, 1),
    "connection cut in the body": (["cut"], "kept", 12, 1),
    "HTML under 200": (["html"], "kept", 12, 1),
    # Only what was answered badly is asked for again.
    "missing rows": (["missing"], "kept", 8, 0),
    "duplicate index": (["duplicate"], "kept", 8, 0),
    "index out of range": (["stray"], "kept", 7, 0),
    "shuffled rows": (["shuffled"], "kept", 6, 0),
    "NaN": (["nan"], "kept", 7, 0),
    "null": (["null"], "kept", 7, 0),
    "zero vector": (["zero"], "kept", 7, 0),
    "length 3": (["norm"], "kept", 7, 0),
    "floats instead of base64": (["floats"], "kept", 6, 0),
    "no usage": (["no usage"], "kept", 6, 0),
    # Asking again would be in vain.
    "wrong dimension": (["dimension"], "expected vectors of 48 dimensions, got 47", 6, 0),
    "wrong model": (["model"], "requested the model 'loopback-48', answered by 'another", 6, 0),
    "quota": (["quota"], "the account has no money left", 0, 0),
    "key refused": (["401"], "check GENEPT_OPENAI_API_KEY", 0, 0),
    "text refused": (["400"], "of 6 texts the longest: text [0-9a-f]{16}…", 0, 0),
    # What does not pass in time.
    "always 500": (["500"] * 4, "server_error", 0, 0),
    "always NaN": (["nan"] * 3, r"1 of 6 texts .* 3 times .*'gene 1 does this'.* nan", 8, 0),
}


@pytest.fixture(scope="module")
def service():
    service = LoopbackService()
    with serving(service) as url:
        service.url = url
        yield service


@pytest.fixture
def embedder(service):
    service.charged.clear()
    service.charges_for = "work"
    service.faults.clear()
    service.requests.clear()
    embedder = OpenAIEmbedder(MODEL, SecretStr(KEY), service.url, QUICK)
    yield embedder
    embedder.client.close()


@pytest.mark.parametrize("row", FAULTS)
def test_every_fault_has_its_outcome_and_its_price(service, embedder, row):
    service.faults, outcome, charged, unanswered = list(FAULTS[row][0]), *FAULTS[row][1:]
    answer = embedder.ask(TEXTS)
    assert service.charged.total() == charged
    assert answer.n_unanswered == unanswered
    assert not service.faults, "a planned fault that nobody met tests nothing"
    validate_vectors(answer.vectors, len(answer.texts), 48)
    np.testing.assert_array_equal(answer.vectors, RandomVectors(48).embed(answer.texts))
    if outcome == "kept":
        assert answer.failure is None
        assert answer.texts == tuple(TEXTS)
        unreadable = charged - 6 if row in ("truncated JSON", "HTML under 200") else 0
        lost = 6 if row.startswith("connection") else unreadable
        expected = None if row == "no usage" else TOKENS * (charged - lost)
        assert answer.tokens == expected
    else:
        with pytest.raises(type(answer.failure), match=outcome):
            raise answer.failure
        assert KEY not in str(answer.failure)
        passes = row.startswith("always")
        assert isinstance(answer.failure, RefusedEmbeddingError) is not passes


@pytest.mark.parametrize("row", FAULTS)
def test_what_was_delivered_is_charged_once(service, embedder, row):
    """Nothing that arrived in good order is asked for again, whatever went wrong beside it."""
    service.charges_for = "delivery"
    service.faults = list(FAULTS[row][0])
    answer = embedder.ask(TEXTS)
    assert not service.faults, "a planned fault that nobody met tests nothing"
    assert dict(service.charged) == dict.fromkeys(answer.texts, 1)
    if FAULTS[row][1] == "kept":
        assert answer.texts == tuple(TEXTS)


def test_always_nan_keeps_the_good_ones(service, embedder):
    # the row at fault is the second of the first request, then the only one: asked thrice
    service.faults = ["nan"]
    assert embedder.ask(TEXTS).n_requests == 2
    assert service.requests == [6, 1]


def test_retry_after_is_honoured_and_capped(service, embedder):
    import time

    service.faults = ["429 retry-after"]
    began = time.monotonic()
    embedder.ask(TEXTS[:1])
    assert time.monotonic() - began >= 0.3


def test_a_service_that_is_not_there_is_named_and_costs_nothing():
    nowhere = OpenAIEmbedder(MODEL, SecretStr(KEY), "http://127.0.0.1:9/v1", QUICK)
    answer = nowhere.ask(TEXTS)
    assert "http://127.0.0.1:9/v1 failed" in str(answer.failure)
    assert (answer.n_requests, answer.n_unanswered, answer.tokens) == (0, 0, 0)
    nowhere.client.close()


def test_embedding_without_a_cache_keeps_the_order(service, embedder):
    order = [TEXTS[3], TEXTS[0], TEXTS[3]]
    np.testing.assert_array_equal(embedder.embed(order), RandomVectors(48).embed(order))
    assert service.charged.total() == 2
    assert embedder.embed([]).shape == (0, 48)


def test_the_key_is_nowhere_but_in_the_header(service, embedder):
    import logging
    import pickle

    assert KEY not in repr(embedder) + embedder.identity + repr(embedder.__dict__)
    assert KEY not in repr(logging.getLogger("openai").handlers)
    embedder.ask(TEXTS[:1])
    assert f"Bearer {KEY}" in service.keys
    copied = pickle.loads(pickle.dumps(embedder))
    assert copied.identity == embedder.identity
    assert copied.api_key == embedder.api_key


def test_another_address_or_size_is_another_space():
    def identity(url="http://a/v1", **changes):
        return OpenAIEmbedder(MODEL.model_copy(update=changes), SecretStr("k"), url).identity

    assert identity() == identity("http://a/v1/")
    assert len({identity(), identity("http://b/v1"), identity(dimensions=24)}) == 3
    assert identity(base_url="http://a/v1") == identity()


def test_queries_and_passages_are_sent_with_their_prefixes(service, hosted):
    embedder = hosted(passage_prefix="passage: ", query_prefix="query: ")
    queries = embedder.for_queries()
    service.charged.clear()
    try:
        answer, asked = embedder.ask(TEXTS[:2]), queries.ask(TEXTS[:2])
    finally:
        queries.client.close()
    assert answer.texts == asked.texts == tuple(TEXTS[:2])
    prefixes = ("passage: ", "query: ")
    assert set(service.charged) == {prefix + text for prefix in prefixes for text in TEXTS[:2]}
    np.testing.assert_allclose(
        answer.vectors, RandomVectors(48).embed([f"passage: {text}" for text in TEXTS[:2]])
    )
    assert embedder.count_tokens(TEXTS[:1]) > hosted().count_tokens(TEXTS[:1])
    assert len({embedder.identity, queries.identity, hosted().identity}) == 3
    plain = hosted()
    assert plain.for_queries() is plain
    assert "prefix" not in plain.identity  # as before there were prefixes


@pytest.mark.slow
@pytest.mark.index
def test_a_real_model_behind_the_service_gives_its_own_vectors(
    real_archives, tmp_path, lake, store_prefix
):
    minilm = Embedders(Settings(state_dir=tmp_path), real_archives).minilm
    with real_archives.open_member("minilm", "model/tokenizer.json") as stream:
        (tmp_path / "tokenizer.json").write_bytes(stream.read())
    served = HostedModel(
        id="minilm", model="minilm", dimensions=384, max_tokens=256, dollars_per_million_tokens=20,
        tokenizer=tmp_path / "tokenizer.json",
    )  # fmt: skip
    service = LoopbackService(minilm.embed)
    service.tokens_of = minilm.count_tokens
    texts = [f"tumor protein p{n}. apoptotic process; TGF-β{n} signalling" for n in range(60)]
    with serving(service) as url:
        embedder = OpenAIEmbedder(served, SecretStr(KEY), url, RequestPolicy())
        cache = VectorCache(lake.store, store_prefix, embedder)
        expected = forecast(embedder, cache, [*texts, *texts])
        vectors = embed_through_cache(embedder, cache, [*texts, *texts])
        embedder.client.close()
    np.testing.assert_allclose(vectors[:60], minilm.embed(texts), atol=1e-5)
    np.testing.assert_array_equal(vectors[:60], vectors[60:])
    assert service.charged.total() == 60
    (payment,) = all_payments(lake.store, store_prefix)
    assert payment.tokens == sum(minilm.count_tokens(texts))
    assert expected.tokens == pytest.approx(payment.tokens, rel=0.05)
    assert expected.dollars == pytest.approx(payment.dollars, rel=0.05)
    assert expected.basis == "tokenizer tokenizer.json"
