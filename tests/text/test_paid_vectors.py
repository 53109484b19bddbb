"""Embedding through a hosted service: what is paid, what is refused, what an interrupt leaves."""

import threading

import pytest

from genept.text.budget import BudgetError
from genept.text.embedders import EmbeddingError, RefusedEmbeddingError
from genept.text.gene_vectors import embed_through_cache, plain_loop
from genept.text.hosted_models import SpendingLimit
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


def test_an_interrupted_run_leaves_its_batches_to_the_next(new_cache, hosted, service):
    service.polls_until_done = 10**9

    def interrupt(batches, embed_batch, at_once, interrupted):
        threading.Timer(0.3, interrupted.set).start()
        plain_loop(batches, embed_batch, at_once, interrupted)

    batched = SpendingLimit(batch_api=True)
    with pytest.raises(EmbeddingError, match="left for the next run"):
        embed_through_cache(hosted(), new_cache(), TEXTS, interrupt, batched)
    service.polls_until_done = 1
    embed_through_cache(hosted(), new_cache(), TEXTS, spending_limit=batched)
    assert service.charged == dict.fromkeys(TEXTS, 1)
