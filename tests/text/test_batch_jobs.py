"""The Batch API: half the price, and whatever happens a batch is collected, not asked for again."""

import threading

import numpy as np
import pytest

from genept.text.answers import JOB_TEXTS, packed_jobs
from genept.text.baselines import RandomVectors
from genept.text.budget import Budget, all_payments
from genept.text.embedders import EmbeddingError, RefusedEmbeddingError
from genept.text.hosted_models import SpendingLimit
from genept.text.vector_cache import VectorCache

TEXTS = [f"gene {number} does this" for number in range(12)]
ONCE = dict.fromkeys(TEXTS, 1)


class Killed(BaseException):
    """Ends a process, as a signal would."""


@pytest.fixture
def run(object_store, store_prefix, hosted):
    """A run that pays for all texts in batch mode; its cache."""

    def run_(*, batch_api=True, abandoned=None, spoil=None):
        embedder = hosted()
        cache = VectorCache(object_store, store_prefix, embedder)
        with Budget(
            embedder, cache, SpendingLimit(batch_api=batch_api), "run-1", abandoned
        ) as budget:
            if spoil:
                spoil(budget._jobs)
            budget.pay(TEXTS)
        return cache

    return run_


def jobs_left(store, prefix):
    return list(store.list(f"{prefix}/cache/batches/"))


def settled(cache, service, store, prefix):
    np.testing.assert_array_equal(cache.vectors(TEXTS), RandomVectors(48).embed(TEXTS))
    assert not jobs_left(store, prefix)
    payments = all_payments(store, prefix)
    assert {payment.mode for payment in payments} == {"batch"}
    assert sum(payment.tokens for payment in payments) == 4 * service.charged.total()
    assert sum(payment.dollars for payment in payments) == pytest.approx(
        0.5 * 0.004 * service.charged.total()
    )


def test_a_batch_is_collected_at_half_the_price(run, service, object_store, store_prefix):
    settled(run(), service, object_store, store_prefix)
    assert service.charged == ONCE


def test_failed_bad_and_missing_texts_are_asked_for_again(run, service, object_store, store_prefix):
    def spoil(lines):
        service.spoil_batch = lambda lines: lines
        error = {"code": "server_error", "message": "sorry"}
        lines[0] |= {"error": error, "response": None}
        lines[1]["response"]["body"]["data"][0]["embedding"] = None
        return lines[:-1]

    service.spoil_batch = spoil
    cache = run()
    np.testing.assert_array_equal(cache.vectors(TEXTS), RandomVectors(48).embed(TEXTS))
    assert service.charged.total() == 15
    assert sorted(service.charged.values()) == [1] * 9 + [2] * 3
    assert not jobs_left(object_store, store_prefix)


def test_texts_that_always_fail_are_named_and_the_others_kept(run, service):
    error = {"code": "invalid", "message": "no good"}

    def spoil(lines):
        return [
            line | {"error": error, "response": None} if line["custom_id"] == bad else line
            for line in lines
        ]

    from genept.text.composition import text_sha256

    bad = text_sha256(TEXTS[7])
    service.spoil_batch = spoil
    with pytest.raises(EmbeddingError, match=rf"1 of 12 texts .*{bad[:16]}.*'gene 7.*no good"):
        run()
    service.spoil_batch = lambda lines: lines
    run()
    assert service.charged == ONCE | {TEXTS[7]: 4}


@pytest.mark.parametrize("moment", ["upload", "create", "created", "wait", "keep", "forget"])
def test_killed_at_any_moment_a_batch_is_paid_for_once(
    run, service, object_store, store_prefix, moment
):
    def die(*_):
        raise Killed

    def spoil(jobs):
        if moment in ("upload", "create", "wait"):
            setattr(jobs.api, moment, die)
        elif moment == "created":  # charged, but the answer with its id never seen
            create = jobs.api.create
            jobs.api.create = lambda *given: die(create(*given))
        else:
            setattr(jobs, f"_{moment}", die)

    with pytest.raises(Killed):
        run(spoil=spoil)
    assert jobs_left(object_store, store_prefix)
    settled(run(), service, object_store, store_prefix)
    assert service.charged == ONCE


def test_a_batch_under_way_is_collected_even_by_a_run_without_the_batch_api(
    run, service, object_store, store_prefix
):
    service.polls_until_done = 10**9
    abandoned = threading.Event()
    threading.Timer(0.3, abandoned.set).start()
    with pytest.raises(EmbeddingError, match="left for the next run"):
        run(abandoned=abandoned)
    service.polls_until_done = 1
    settled(run(batch_api=False), service, object_store, store_prefix)
    assert service.charged == ONCE


def test_a_lost_answer_to_the_creation_does_not_create_twice(
    run, service, object_store, store_prefix
):
    service.faults = ["lost create"]
    settled(run(), service, object_store, store_prefix)
    assert len(service.batches) == 1


def test_a_batch_of_another_model_is_refused_and_on_record(
    run, service, object_store, store_prefix
):
    def spoil(lines):
        for line in lines:
            line["response"]["body"]["model"] = "another"
        return lines

    service.spoil_batch = spoil
    with pytest.raises(RefusedEmbeddingError, match="answered by 'another'"):
        run()
    (payment,) = all_payments(object_store, store_prefix)
    assert (payment.n_texts, payment.tokens) == (0, 48)


def test_batches_stay_under_what_the_service_accepts():
    assert [len(job) for job in packed_jobs(["x"] * (2 * JOB_TEXTS + 1))] == [JOB_TEXTS] * 2 + [1]
    assert [len(job) for job in packed_jobs(["x" * 60_000_000] * 5)] == [2, 2, 1]
    assert packed_jobs([]) == []
