"""The vector cache in a real store: what is kept, what is found again, and by whom."""

import hashlib
import io
import secrets
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import CountingEmbedder

from genept.common.errors import StoreError
from genept.storage.object_store import ObjectStore
from genept.text.composition import text_sha256
from genept.text.embedders import EmbeddingError
from genept.text.vector_cache import VectorCache

TEXTS = ["tumor protein p53", "β-catenin", "", "a" * 5000]


def vectors_of(texts, dimensions=32):
    return CountingEmbedder(dimensions).embed([f"key {text}" for text in texts])


@pytest.fixture
def new_cache(object_store: ObjectStore, store_prefix: str):
    """Caches over the same store, as another process would open them."""

    def open_(embedder=None) -> VectorCache:
        return VectorCache(object_store, store_prefix, embedder or CountingEmbedder())

    return open_


def stored(cache: VectorCache) -> list[str]:
    return [info.key for info in cache.store.list(cache.prefix)]


def test_the_address_of_a_text_is_the_sha256_of_its_utf8():
    assert text_sha256("β") == hashlib.sha256(b"\xce\xb2").hexdigest()


def test_a_new_cache_misses_everything_once(new_cache):
    cache = new_cache()
    assert cache.missing([*TEXTS, *reversed(TEXTS)]) == TEXTS
    assert cache.missing([]) == []
    assert cache.vectors([]).shape == (0, 32)
    with pytest.raises(KeyError, match="no vector yet for text 0: 'tumor protein p53'"):
        cache.vectors(TEXTS)


def test_missing_is_exact(new_cache):
    cache = new_cache()
    cache.add(TEXTS[1:3], vectors_of(TEXTS[1:3]))
    assert cache.missing(TEXTS) == [TEXTS[0], TEXTS[3]]
    assert cache.missing(["β-Catenin", "β-catenin ", "β-catenin"]) == ["β-Catenin", "β-catenin "]
    with pytest.raises(KeyError, match="text 1"):
        cache.vectors([TEXTS[2], TEXTS[3]])


def test_another_process_finds_every_shard(new_cache):
    first, vectors = new_cache(), vectors_of(TEXTS)
    for row, text in enumerate(TEXTS):
        first.add([text], vectors[[row]])
    assert len(stored(first)) == len(TEXTS)
    second = new_cache()
    assert second.missing([*TEXTS, "new"]) == ["new"]
    order = [3, 0, 0, 2, 1]
    np.testing.assert_array_equal(second.vectors([TEXTS[row] for row in order]), vectors[order])


def test_vectors_of_an_earlier_version_are_found_again(new_cache):
    """Where they are, and in which columns, depends on no name of a module."""
    embedder = CountingEmbedder(2)
    embedder.id, embedder.identity = "model-1", "model-1:weights=abc:max_tokens=256"
    cache = new_cache(embedder)
    folder = cache.prefix.removeprefix(f"{cache.product}/")
    assert folder == "cache/vectors/model-1/e86f716b2b800408/"
    rows = {"text_sha256": [text_sha256(TEXTS[0])], "embedding": [[0.6, 0.8]]}
    schema = {"text_sha256": pl.String, "embedding": pl.Array(pl.Float32, 2)}
    shard = io.BytesIO()
    pl.DataFrame(rows, schema=schema).write_parquet(shard)
    content = shard.getvalue()
    name = f"{hashlib.sha256(content).hexdigest()}.parquet"
    cache.store.put_if_absent(f"{cache.product}/{folder}{name}", content)
    assert cache.missing(TEXTS[:2]) == [TEXTS[1]]
    np.testing.assert_array_equal(cache.vectors(TEXTS[:1]), np.float32([[0.6, 0.8]]))


def test_what_the_caller_does_to_its_vectors_later_changes_nothing(new_cache):
    cache, vectors = new_cache(), vectors_of(TEXTS)
    cache.add(TEXTS, vectors)
    vectors[:] = 0
    cached = cache.vectors(TEXTS)
    np.testing.assert_array_equal(cached, vectors_of(TEXTS))
    cached[:] = 0
    np.testing.assert_array_equal(cache.vectors(TEXTS), vectors_of(TEXTS))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda vectors: vectors * 1.1,
        lambda vectors: vectors * np.float32(0),
        lambda vectors: np.where(np.arange(32) == 5, np.nan, vectors).astype(np.float32),
        lambda vectors: vectors[:-1],
        lambda vectors: vectors[:, :-1],
        lambda vectors: vectors.astype(np.float64),
    ],
)
def test_nothing_invalid_is_kept(new_cache, spoil):
    cache = new_cache()
    with pytest.raises(EmbeddingError):
        cache.add(TEXTS, spoil(vectors_of(TEXTS)))
    assert stored(cache) == []
    assert cache.missing(TEXTS) == new_cache().missing(TEXTS) == TEXTS


def test_embedders_do_not_share_vectors(new_cache):
    new_cache().add(TEXTS, vectors_of(TEXTS))
    other_weights, other_size = CountingEmbedder(), CountingEmbedder(16)
    other_weights.identity = "counting-2"
    for other in (other_weights, other_size):
        assert new_cache(other).missing(TEXTS) == TEXTS
    assert new_cache().missing(TEXTS) == []


def test_the_same_batch_twice_is_one_object(new_cache):
    first, second = new_cache(), new_cache()
    assert second.missing(TEXTS) == TEXTS
    first.add(TEXTS, vectors_of(TEXTS))
    second.add(TEXTS, vectors_of(TEXTS))  # two writers that did not know of one another
    assert len(stored(first)) == 1
    np.testing.assert_array_equal(new_cache().vectors(TEXTS), vectors_of(TEXTS))


def test_a_damaged_shard_is_named_and_not_believed(new_cache):
    cache = new_cache()
    cache.add(TEXTS, vectors_of(TEXTS))
    (key,) = stored(cache)
    content = cache.store.get(key)
    cache.store.delete([key])
    cache.store.put_if_absent(key, content[:-40] + bytes(40))
    with pytest.raises(StoreError, match=f"{Path(key).name} is damaged.*delete the object"):
        new_cache().missing(TEXTS)
    cache.store.delete([key])
    assert new_cache().missing(TEXTS) == TEXTS


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.lists(st.text(max_size=20), min_size=1, unique=True), max_size=3),
    st.integers(1, 9),
)
def test_round_trip(object_store: ObjectStore, batches, dimensions):
    embedder = CountingEmbedder(dimensions)
    prefix = f"tests/round-trip-{secrets.token_hex(6)}"
    cache = VectorCache(object_store, prefix, embedder)
    for batch in batches:
        todo = cache.missing(batch)
        cache.add(todo, vectors_of(todo, dimensions))
    texts = [text for batch in batches for text in batch]
    assert cache.missing(texts) == []
    for opened in (cache, VectorCache(object_store, prefix, embedder)):
        np.testing.assert_array_equal(opened.vectors(texts), vectors_of(texts, dimensions))


def test_twenty_thousand_texts_are_looked_up_in_a_second(new_cache):
    """A fifth of them within half a second of this process, opening included."""
    import time

    texts = [f"gene {number} is known for this" for number in range(4_000)]
    vectors = np.tile(vectors_of(TEXTS[:1], 384), (4_000, 1))
    new_cache(CountingEmbedder(384)).add(texts, vectors)
    began = time.process_time()
    cache = new_cache(CountingEmbedder(384))
    assert cache.missing(texts) == []
    assert cache.vectors(texts).shape == (4_000, 384)
    assert time.process_time() - began < 0.5


def test_writers_that_merge_while_others_write_lose_nothing(new_cache):
    """Four writers, each adding and merging all the time; a reader sees what it knows to be in."""
    from concurrent.futures import ThreadPoolExecutor

    def write(writer: int) -> list[str]:
        cache = new_cache()
        mine = [f"writer {writer} text {number}" for number in range(12)]
        for text in mine:
            cache.add([text], vectors_of([text]))
            cache.compact(at_least=3)
            assert new_cache().missing(mine[: mine.index(text) + 1]) == []
        return mine

    with ThreadPoolExecutor(4) as pool:
        texts = [text for mine in pool.map(write, range(4)) for text in mine]
    assert new_cache().missing(texts) == []
    np.testing.assert_array_equal(new_cache().vectors(texts), vectors_of(texts))
