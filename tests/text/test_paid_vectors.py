"""Embedding through a hosted service: what is paid, what is refused, what an interrupt leaves."""

import pytest

from genept.text.cached_embedding import embed_through_cache
from genept.text.embedders import RefusedEmbeddingError
from genept.text.hosted.batch_api import PendingBatchesError
from genept.text.hosted.budget import BudgetError
from genept.text.hosted.hosted_models import SpendingLimit
from genept.text.vector_cache import VectorCache

TEXTS = [f"gene {number} does this" for number in range(20)]


@pytest.fixture
def new_cache(object_store, store_prefix, hosted):
    def open_():
        return VectorCache(object_store, store_prefix, hosted())

    return open_


def test_every_text_is_paid_for_once(new_cache, hosted, service):
    embedder, cache = hosted(), new_cache()
    vectors = embed_through_cache(embedder, cache, [*TEXTS, *TEXTS])
    assert vectors.shape == (40, 48)
    assert service.charged == dict.fromkeys(TEXTS, 1)
    assert service.requests == [5] * 4
    embed_through_cache(embedder, new_cache(), TEXTS)
    assert len(service.requests) == 4


def test_a_refusal_and_a_spent_budget_are_raised(new_cache, hosted, service):
    service.faults = ["quota"]
    with pytest.raises(RefusedEmbeddingError, match="no money left"):
        embed_through_cache(hosted(), new_cache(), TEXTS)
    with pytest.raises(BudgetError, match="GENEPT_EMBEDDING_BUDGET"):
        embed_through_cache(hosted(), new_cache(), TEXTS, spending_limit=SpendingLimit(budget=0.01))
    assert not service.charged


def test_batches_are_left_to_the_next_run(new_cache, hosted, service):
    batched = SpendingLimit(batch_api=True)
    with pytest.raises(PendingBatchesError):
        embed_through_cache(hosted(), new_cache(), TEXTS, spending_limit=batched)
    embed_through_cache(hosted(), new_cache(), TEXTS, spending_limit=batched)
    assert service.charged == dict.fromkeys(TEXTS, 1)
