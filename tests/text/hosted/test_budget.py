"""Paying: once, within the budget, one run at a time, every payment on record."""

import threading

import numpy as np
import pytest

from genept.storage.lake import Lake
from genept.text.embedders import EmbeddingError, RefusedEmbeddingError
from genept.text.hosted.budget import Budget, BudgetError
from genept.text.hosted.hosted_models import SpendingLimit
from genept.text.hosted.ledger import all_payments, record_ledger
from genept.text.local.baselines import RandomVectors
from genept.text.metered import RateLimits
from genept.text.vector_cache import VectorCache, forecast

TEXTS = [f"gene {number} does this" for number in range(20)]
DOLLARS = 0.004


@pytest.fixture
def new_budget(object_store, store_prefix, hosted):
    """Budgets as separate processes would open them."""

    def open_(spending_limit=None, **changes):
        embedder = hosted(**changes)
        cache = VectorCache(object_store, store_prefix, embedder)
        return Budget(embedder, cache, spending_limit or SpendingLimit(), "run-1")

    return open_


def test_what_is_paid_for_is_kept_and_on_record(new_budget, service, object_store, store_prefix):
    with new_budget() as budget:
        budget.pay(TEXTS[:5])
        budget.pay(TEXTS[3:8])
        budget.pay(TEXTS[:8])
    assert set(service.charged.values()) == {1}
    np.testing.assert_array_equal(
        budget.cache.vectors(TEXTS[:8]), RandomVectors(48).embed(TEXTS[:8])
    )
    payments = all_payments(object_store, store_prefix)
    assert [(payment.n_texts, payment.tokens, payment.tokens_from) for payment in payments] in (
        [(5, 20, "usage"), (3, 12, "usage")],
        [(3, 12, "usage"), (5, 20, "usage")],  # within the same second
    )
    assert sum(payment.dollars for payment in payments) == pytest.approx(8 * DOLLARS)


def test_good_vectors_of_a_failed_request_are_kept_and_only_the_rest_is_asked_anew(
    new_budget, service
):
    service.faults = ["nan"] * 3
    with new_budget() as budget, pytest.raises(EmbeddingError, match="gene 1 does this"):
        budget.pay(TEXTS[:5])
    with new_budget() as budget:
        budget.pay(TEXTS[:5])
    # gene 1, then (alone) thrice more: two bad repetitions and the good answer
    assert service.charged == {text: 4 if "1" in text else 1 for text in TEXTS[:5]}
    assert budget.cache.missing(TEXTS[:5]) == []


def test_what_was_charged_for_nothing_is_on_record_too(
    new_budget, service, object_store, store_prefix
):
    service.faults = ["model"]
    with new_budget() as budget, pytest.raises(RefusedEmbeddingError, match="another-model"):
        budget.pay(TEXTS[:5])
    (payment,) = all_payments(object_store, store_prefix)
    assert (payment.n_texts, payment.tokens, payment.n_requests) == (0, 20, 1)


def test_after_a_refusal_nothing_more_is_asked(new_budget, service):
    service.faults = ["quota"]
    with new_budget() as budget:
        for _ in range(3):
            with pytest.raises(RefusedEmbeddingError, match="no money left"):
                budget.pay(TEXTS[:5])
    assert not service.charged


def test_a_budget_stops_before_it_is_exceeded_and_a_larger_one_goes_on(
    new_budget, service, object_store, store_prefix
):
    requests = [TEXTS[at : at + 5] for at in range(0, 20, 5)]
    reserved = sum(-(-len(text) // 3) for text in TEXTS[:5]) / 1000  # by estimate, dearer
    with new_budget(SpendingLimit(budget=reserved + 5 * DOLLARS + 1e-9)) as budget:
        budget.pay(requests[0])
        budget.pay(requests[1])
        with pytest.raises(BudgetError, match=r"raise GENEPT_EMBEDDING_BUDGET"):
            budget.pay(requests[2])
    assert service.charged.total() == 10
    assert (
        sum(payment.dollars for payment in all_payments(object_store, store_prefix)) <= reserved * 2
    )
    with new_budget(SpendingLimit(budget=10)) as budget:
        for request in requests:
            budget.pay(request)
    assert service.charged == dict.fromkeys(TEXTS, 1)


def test_a_budget_of_nothing_buys_nothing_but_what_is_kept_is_free(new_budget, service):
    with new_budget() as budget:
        budget.pay(TEXTS[:5])
    with new_budget(SpendingLimit(budget=0)) as budget:
        budget.pay(TEXTS[:5])
        with pytest.raises(BudgetError):
            budget.pay(TEXTS)
    assert service.charged.total() == 5


def test_two_runs_at_once_pay_once(new_budget, service):
    service.per_text = 0.01

    def run():
        with new_budget() as budget:
            for at in range(0, 20, 5):
                budget.pay(TEXTS[at : at + 5])

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert service.charged == dict.fromkeys(TEXTS, 1)


def test_a_run_that_lost_its_lease_requests_nothing_more(new_budget, service):
    with new_budget() as budget:
        budget.spending.lease._until = 0.0
        with pytest.raises(RefusedEmbeddingError, match="suspended"):
            budget.pay(TEXTS[:5])
    assert not service.charged


def test_every_request_is_paced_and_the_service_says_what_it_allows(
    object_store, store_prefix, hosted, service
):
    service.stated = {"x-ratelimit-limit-tokens": "120000", "x-ratelimit-limit-requests": "none"}
    embedder, waits, stated = hosted(), [], []

    class Pace:
        def wait(self, tokens):
            waits.append((tokens, len(service.requests)))

        def adapt(self, limits):
            stated.append(limits)

    cache = VectorCache(object_store, store_prefix, embedder)
    with Budget(embedder, cache, SpendingLimit(), "run-1", pace=Pace()) as budget:
        budget.pay_all(TEXTS)
    tokens = sum(embedder.count_tokens(TEXTS[:5]))
    assert [number for _, number in waits] == [0, 1, 2, 3], "before each request"
    assert waits[0] == (tokens, 0)
    assert stated == [RateLimits(requests=None, tokens=120_000)] * 4


def test_a_forecast_counts_what_is_new_and_asks_nobody(new_budget, service):
    with new_budget() as budget:
        budget.pay(TEXTS[:5])
    service.charged.clear()
    expected = forecast(budget.embedder, budget.cache, [*TEXTS, *TEXTS])
    assert (expected.n_texts, expected.n_new) == (20, 15)
    assert expected.tokens == sum(budget.embedder.count_tokens(TEXTS[5:]))
    assert expected.dollars == pytest.approx(expected.tokens / 1000)
    assert expected.dollars >= 15 * DOLLARS
    assert expected.basis.startswith("estimate")
    assert not service.charged
    local = RandomVectors(8)
    free = forecast(local, VectorCache(budget.cache.store, "nothing", local), TEXTS)
    assert (free.n_new, free.dollars) == (20, 0)


def test_merged_shards_keep_vectors_payments_and_readers(
    new_budget, service, object_store, store_prefix, tmp_path
):
    with new_budget() as budget:
        for text in TEXTS:
            budget.pay([text])
    before = all_payments(object_store, store_prefix)
    late = VectorCache(object_store, store_prefix, budget.embedder)
    keys = [info.key for info in object_store.list(late.prefix)]
    listing = late.store.list

    class Stale:
        """A store whose first listing was made before the merge."""

        def __getattr__(self, name):
            return getattr(object_store, name)

        def list(self, prefix):
            self.list = listing
            return [type("Info", (), {"key": key})() for key in keys]

    late.store = Stale()
    assert budget.cache.compact(at_least=20)
    assert len(list(object_store.list(budget.cache.prefix))) == 1
    np.testing.assert_array_equal(late.vectors(TEXTS), RandomVectors(48).embed(TEXTS))
    np.testing.assert_array_equal(budget.cache.vectors(TEXTS), late.vectors(TEXTS))
    assert all_payments(object_store, store_prefix) == before
    assert not budget.cache.compact()
    lake = Lake(object_store, store_prefix, tmp_path)
    ledger = lake.read(record_ledger(lake, store_prefix))
    assert ledger.height == 20
    assert ledger["tokens"].sum() == 4 * service.charged.total()


def test_a_ledger_without_payments_is_an_empty_table(lake):
    part = record_ledger(lake, lake.prefix.removesuffix("/lake"))
    assert part.rows == 0
    assert lake.read(part).height == 0
