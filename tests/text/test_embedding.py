"""The durable loop: no text is embedded twice, and a killed run keeps what it has."""

import numpy as np
import pytest
from planted import CountingEmbedder

import genept.text.cached_embedding
from genept.storage.object_store import ObjectStore
from genept.text.cached_embedding import embed_through_cache, plain_loop
from genept.text.vector_cache import VectorCache

TEXTS = [f"text {number} " + "word " * (number % 7) for number in range(50)]
BATCH = 8


class Killed(BaseException):
    """Ends a process, as a signal would."""


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(genept.text.cached_embedding, "BATCH", BATCH)


@pytest.fixture
def run(object_store: ObjectStore, store_prefix: str):
    """Embed as a new process would, with an embedder and a cache of its own."""

    def run_(texts, runner=plain_loop, embedder=None):
        embedder = embedder or CountingEmbedder()
        cache = VectorCache(object_store, store_prefix, embedder)
        return embedder, embed_through_cache(embedder, cache, texts, runner)

    return run_


def expected(texts):
    return CountingEmbedder().embed(texts)


def test_vectors_come_in_the_order_of_the_texts(run):
    embedder, vectors = run(TEXTS)
    np.testing.assert_array_equal(vectors, expected(TEXTS))
    assert sorted(embedder.embedded_texts) == sorted(TEXTS)


def test_a_text_that_occurs_twice_is_embedded_once(run):
    embedder, vectors = run([*TEXTS, *TEXTS[::-1]])
    assert sorted(embedder.embedded_texts) == sorted(TEXTS)
    np.testing.assert_array_equal(vectors, expected([*TEXTS, *TEXTS[::-1]]))


def test_a_run_with_no_news_makes_no_calls(run):
    run(TEXTS)

    def refuse(*_):
        raise AssertionError("there is nothing to run")

    embedder, vectors = run(TEXTS[::-1], runner=refuse)
    assert embedder.embedded_texts == []
    np.testing.assert_array_equal(vectors, expected(TEXTS[::-1]))


def test_only_news_is_embedded(run):
    run(TEXTS[:20])
    embedder, _ = run(TEXTS[10:40])
    assert sorted(embedder.embedded_texts) == sorted(TEXTS[20:40])


def test_texts_of_like_length_share_a_batch(run):
    batches = []

    def runner(given, embed_batch, at_once):
        batches.extend(given)
        plain_loop(given, embed_batch, at_once)

    run(TEXTS, runner)
    assert [len(batch) for batch in batches] == [8, 8, 8, 8, 8, 8, 2]
    lengths = [len(text) for batch in batches for text in batch]
    assert lengths == sorted(lengths)


def test_a_run_killed_between_batches_resumes_with_what_is_missing(run):
    killed = CountingEmbedder()

    def dies(batches, *rest):
        plain_loop(batches[:3], *rest)
        raise Killed

    with pytest.raises(Killed):
        run(TEXTS, dies, killed)
    assert len(killed.embedded_texts) == 3 * BATCH
    resumed, vectors = run(TEXTS)
    assert sorted(killed.embedded_texts + resumed.embedded_texts) == sorted(TEXTS)
    np.testing.assert_array_equal(vectors, expected(TEXTS))


def test_a_run_killed_inside_a_batch_pays_for_that_batch_again(run):
    class Dying(CountingEmbedder):
        def embed(self, texts):
            vectors = super().embed(texts)
            if len(self.embedded_texts) > 2 * BATCH:
                raise Killed
            return vectors

    killed = Dying()
    with pytest.raises(Killed):
        run(TEXTS, embedder=killed)
    resumed, _ = run(TEXTS)
    assert sorted(killed.embedded_texts[: 2 * BATCH] + resumed.embedded_texts) == sorted(TEXTS)


def test_a_batch_that_is_tried_again_is_not_embedded_again(run):
    def twice(batches, embed_batch, *_):
        for batch in batches:
            embed_batch(batch)
            embed_batch(batch)

    embedder, vectors = run(TEXTS, twice)
    assert sorted(embedder.embedded_texts) == sorted(TEXTS)
    np.testing.assert_array_equal(vectors, expected(TEXTS))


def test_an_answer_of_the_wrong_shape_is_not_kept(run):
    class Short(CountingEmbedder):
        def embed(self, texts):
            return super().embed(texts)[:-1]

    with pytest.raises(ValueError, match="one vector for each of 8 texts"):
        run(TEXTS, embedder=Short())
    embedder, _ = run(TEXTS)
    assert sorted(embedder.embedded_texts) == sorted(TEXTS)


def test_a_runner_that_skips_a_batch_is_found_out(run):
    with pytest.raises(KeyError, match="no vector yet"):
        run(TEXTS, lambda batches, *rest: plain_loop(batches[1:], *rest))
