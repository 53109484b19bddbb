"""The Batch API: half the price, and whatever happens a batch is collected, not asked for again."""

import secrets
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from genept.text.embedders import EmbeddingError, RefusedEmbeddingError
from genept.text.hosted.answers import JOB_TEXTS, packed_jobs
from genept.text.hosted.batch_api import PendingBatchesError
from genept.text.hosted.budget import Budget, BudgetError
from genept.text.hosted.hosted_models import SpendingLimit
from genept.text.hosted.ledger import all_payments
from genept.text.hosted.recorded_batches import jobs_of, unfinished_batches
from genept.text.local.baselines import RandomVectors
from genept.text.vector_cache import VectorCache

TEXTS = [f"gene {number} does this" for number in range(12)]
ONCE = dict.fromkeys(TEXTS, 1)


class Killed(BaseException):
    """Ends a process, as a signal would."""


@pytest.fixture
def run(object_store, store_prefix, hosted):
    """A run that pays for all texts in batch mode; its cache."""

    def run_(*, batch_api=True, dollars=None, spoil=None, texts=TEXTS):
        embedder = hosted()
        cache = VectorCache(object_store, store_prefix, embedder)
        budget = Budget(embedder, cache, SpendingLimit(dollars, batch_api), "run-1")
        if spoil:
            spoil(budget._jobs)
        with budget:
            budget.pay_all(texts)
        return cache

    return run_


@pytest.fixture
def until_done(run):
    """Runs as often as batches are left pending; the cache of the last one."""

    def until_done_(**options):
        for _ in range(5):
            try:
                return run(**options)
            except PendingBatchesError:
                continue
        raise AssertionError("still pending")

    return until_done_


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


def test_a_batch_is_sent_and_collected_by_the_next_run_at_half_the_price(
    run, service, object_store, store_prefix
):
    with pytest.raises(PendingBatchesError, match="12 texts are in 1 batches") as pending:
        run()
    assert timedelta(hours=23) < pending.value.until - datetime.now(UTC) < timedelta(hours=25)
    assert f"by {pending.value.until:%Y-%m-%d %H:%M} UTC at the latest" in str(pending.value)
    settled(run(), service, object_store, store_prefix)
    assert service.charged == ONCE


def test_while_a_batch_is_under_way_its_texts_are_not_paid_for_and_others_are(
    run, service, object_store, store_prefix, hosted
):
    service.finished = False
    with pytest.raises(PendingBatchesError):
        run(texts=TEXTS[:6])
    for batch_api in (True, False):
        with pytest.raises(PendingBatchesError, match="6 texts are in 1 batches"):
            run(batch_api=batch_api, texts=TEXTS[:6])
    with pytest.raises(PendingBatchesError, match="6 texts are in 1 batches"):
        run(batch_api=False)
    assert service.charged == ONCE
    assert len(service.batches) == 1
    (job,) = unfinished_batches(object_store, store_prefix, lambda _: hosted())
    assert len(job.addresses) == 6
    service.finished = True
    assert unfinished_batches(object_store, store_prefix, lambda _: hosted()) == []
    run(batch_api=False)
    assert service.charged == ONCE
    assert not jobs_left(object_store, store_prefix)


def test_a_batch_under_way_counts_against_the_budget(run, service, hosted):
    service.finished = False
    one_batch = sum(hosted().count_tokens(TEXTS[:6])) * 0.001 * 0.5
    with pytest.raises(PendingBatchesError):
        run(texts=TEXTS[:6], dollars=one_batch * 1.5)
    with pytest.raises(BudgetError, match="under way"):
        run(dollars=one_batch * 1.5)
    assert len(service.batches) == 1
    service.finished = True
    with pytest.raises(PendingBatchesError):  # it cost less than was set aside
        run(dollars=one_batch * 2.1)
    run(dollars=one_batch * 2.1)
    assert service.charged == ONCE


def test_failed_bad_and_missing_texts_are_asked_for_again(
    until_done, service, object_store, store_prefix
):
    def spoil(lines):
        service.spoil_batch = lambda lines: lines
        error = {"code": "server_error", "message": "sorry"}
        lines[0] |= {"error": error, "response": None}
        lines[1]["response"]["body"]["data"][0]["embedding"] = None
        return lines[:-1]

    service.spoil_batch = spoil
    cache = until_done()
    np.testing.assert_array_equal(cache.vectors(TEXTS), RandomVectors(48).embed(TEXTS))
    assert service.charged.total() == 15
    assert sorted(service.charged.values()) == [1] * 9 + [2] * 3
    assert not jobs_left(object_store, store_prefix)


def test_texts_that_always_fail_are_named_and_the_others_kept(until_done, run, service):
    error = {"code": "invalid", "message": "no good"}

    def spoil(lines):
        return [
            line | {"error": error, "response": None} if line["custom_id"] == bad else line
            for line in lines
        ]

    from genept.text.composition import text_sha256

    bad = text_sha256(TEXTS[7])
    service.spoil_batch = spoil
    with pytest.raises(EmbeddingError, match=rf"1 of 1 texts .*{bad[:16]}.*'gene 7.*no good"):
        until_done()
    service.spoil_batch = lambda lines: lines
    until_done()
    assert service.charged == ONCE | {TEXTS[7]: 4}


@pytest.mark.parametrize("moment", ["upload", "create", "created", "read", "keep", "forget"])
def test_killed_at_any_moment_a_batch_is_paid_for_once(
    run, until_done, service, object_store, store_prefix, moment
):
    def die(*_):
        raise Killed

    def spoil(jobs):
        if moment in ("upload", "create", "read"):
            setattr(jobs.api, moment, die)
        elif moment == "created":  # charged, but the answer with its id never seen
            create = jobs.api.create
            jobs.api.create = lambda *given: die(create(*given))
        else:
            setattr(jobs, f"_{moment}", die)

    with pytest.raises(Killed):
        until_done(spoil=spoil)
    assert jobs_left(object_store, store_prefix)
    settled(until_done(), service, object_store, store_prefix)
    assert service.charged == ONCE


def test_a_lost_answer_to_the_creation_does_not_create_twice(
    until_done, service, object_store, store_prefix
):
    service.faults = ["lost create"]
    settled(until_done(), service, object_store, store_prefix)
    assert len(service.batches) == 1


def test_a_batch_of_another_model_is_refused_and_on_record(
    until_done, service, object_store, store_prefix
):
    def spoil(lines):
        for line in lines:
            line["response"]["body"]["model"] = "another"
        return lines

    service.spoil_batch = spoil
    with pytest.raises(RefusedEmbeddingError, match="answered by 'another'"):
        until_done()
    (payment,) = all_payments(object_store, store_prefix)
    assert (payment.n_texts, payment.tokens) == (0, 48)


def test_batches_stay_under_what_the_service_accepts():
    many = [("x", 1)] * (2 * JOB_TEXTS + 1)
    assert [len(job) for job in packed_jobs(many)] == [JOB_TEXTS] * 2 + [1]
    assert [len(job) for job in packed_jobs([("x", 60_000_000)] * 5)] == [2, 2, 1]
    assert packed_jobs([]) == []


@pytest.mark.parametrize("nonces", ["ab", "ba"])  # in both orders that the store may list them in
def test_a_second_batch_is_on_record_before_the_first_one_is_forgotten(
    run, until_done, service, object_store, store_prefix, hosted, nonces, monkeypatch
):
    order, token_hex = iter(nonces), secrets.token_hex

    def ordered(nbytes):
        return next(order) * 2 * nbytes if nbytes == 12 else token_hex(nbytes)

    monkeypatch.setattr(secrets, "token_hex", ordered)
    error = {"code": "server_error", "message": "sorry"}
    service.spoil_batch = lambda lines: [
        line | {"error": error, "response": None} for line in lines
    ]
    with pytest.raises(PendingBatchesError):
        run()

    def spoil(jobs):
        def die(*_):
            raise Killed

        jobs._forget = die

    with pytest.raises(Killed):
        run(spoil=spoil)
    recorded = jobs_of(VectorCache(object_store, store_prefix, hosted()))
    assert sorted((job.round, bool(job.faults)) for job in recorded) == [(1, True), (2, False)]
    service.spoil_batch = lambda lines: lines
    until_done()
    assert service.charged == dict.fromkeys(TEXTS, 2)
    assert not jobs_left(object_store, store_prefix)
