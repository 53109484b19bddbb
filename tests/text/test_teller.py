"""The paying process: its errors are told, and it outlives whoever asked."""

from dataclasses import replace

import pytest

from genept.text.cache import VectorCache
from genept.text.embedder import EmbeddingError, RefusedEmbeddingError
from genept.text.embedding import embed_through_cache
from genept.text.till import BudgetError, Purse

TEXTS = [f"gene {number} does this" for number in range(20)]


@pytest.fixture
def new_cache(object_store, store_prefix, hosted):
    def open_():
        return VectorCache(object_store, store_prefix, hosted())

    return open_


def test_texts_are_paid_for_in_another_process_and_found_in_this_one(new_cache, hosted, service):
    embedder, cache = hosted(), new_cache()
    vectors = embed_through_cache(embedder, cache, [*TEXTS, *TEXTS])
    assert vectors.shape == (40, 48)
    assert service.charged == dict.fromkeys(TEXTS, 1)
    assert service.requests == [5] * 4
    embed_through_cache(embedder, new_cache(), TEXTS)
    assert len(service.requests) == 4


def test_what_is_refused_there_is_raised_here(new_cache, hosted, service):
    service.faults = ["quota"]
    with pytest.raises(RefusedEmbeddingError, match="no money left"):
        embed_through_cache(hosted(), new_cache(), TEXTS)
    with pytest.raises(BudgetError, match="GENEPT_EMBEDDING_BUDGET"):
        embed_through_cache(hosted(), new_cache(), TEXTS, purse=Purse(budget=0.01))
    assert not service.charged


def test_a_store_that_is_out_of_reach_is_named(new_cache, hosted, service):
    cache = new_cache()
    assert cache.missing(TEXTS) == TEXTS
    cache.store = type("Elsewhere", (), {})()
    cache.store.access = replace(new_cache().store.access, bucket="no-such-bucket")
    with pytest.raises(EmbeddingError, match="no-such-bucket"):
        embed_through_cache(hosted(), cache, TEXTS)
    assert not service.charged
