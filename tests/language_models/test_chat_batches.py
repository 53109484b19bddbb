"""Chats through the Batch API: half the price, paid once, collected later, whatever happens."""

import json
import os
import signal
import subprocess
import sys

import pytest
from chat_run import answers
from hosted_step import SUPPORT
from installations import PROJECT, storage_settings

from genept.common import Settings
from genept.language_models.answer_formats import AnswerFormat
from genept.language_models.chat_batches import PendingChatsError
from genept.language_models.chat_budget import ChatBudget, ChatBudgetError
from genept.language_models.chats import Chat, ChatError, RefusedChatError, SamplingOptions
from genept.language_models.completion import complete, forecast_chats
from genept.storage.lake import Lake
from genept.text.hosted.hosted_models import SpendingLimit
from genept.text.hosted.ledger import all_payments, record_ledger
from genept.text.hosted.recorded_batches import jobs_of, unfinished_batches

CHATS = [Chat(f"What does gene {number} do?") for number in range(5)]
IN, OUT = 5, 11
HALF = 0.5 * (IN * 1000 + OUT * 2000) / 1e6
GIFT = AnswerFormat.of_schema({"type": "object", "properties": {"gift": {"type": "number"}}})


class Killed(BaseException):
    """Ends a process, as a signal would."""


@pytest.fixture
def run(hosted, new_cache):
    """A run that completes chats in batch mode; their outcomes."""

    def run_(chats=CHATS, *, batch_api=True, dollars=None, spoil=None, **declared):
        service = hosted(**declared)
        cache = new_cache(service)
        if spoil:
            budget = ChatBudget(service, cache, SpendingLimit(dollars, batch_api), "run-1")
            spoil(budget._jobs)
            with budget:
                budget.pay_all(chats)
        return complete(service, cache, chats, SpendingLimit(dollars, batch_api), show=False)

    return run_


@pytest.fixture
def until_done(run):
    """Runs as often as batches are left pending; the outcomes, and after how many runs."""

    def until_done_(*chats, **options):
        for number in range(1, 8):
            try:
                return run(*chats, **options), number
            except PendingChatsError:
                continue
        raise AssertionError("still pending")

    return until_done_


@pytest.fixture
def settled(object_store, store_prefix, service):
    """Checks that nothing is under way, and that every question was charged once, in batches."""

    def settled_(n=5):
        assert not list(object_store.list(f"{store_prefix}/cache/chat_batches/"))
        assert sum(service.asked.values()) == len(service.asked) == n
        payments = all_payments(object_store, store_prefix)
        assert {payment.mode for payment in payments} == {"batch"}
        assert sum(payment.n_texts for payment in payments) == n
        assert sum(payment.dollars for payment in payments) == pytest.approx(n * HALF)

    return settled_


def texts(outcomes):
    return [outcome.text for outcome in outcomes]


ANSWERS = [f"an answer to What does gene {number} do? drawn by 0" for number in range(5)]


def test_a_batch_is_collected_by_the_next_run_and_in_the_ledger_to_the_last_byte(
    run, service, settled, object_store, store_prefix, tmp_path
):
    with pytest.raises(PendingChatsError, match="loopback: 5 chats are in 1 batches"):
        run()
    assert texts(run()) == ANSWERS
    settled()
    sent = service.bodies[0]
    assert (sent["model"], sent["messages"][0]["role"]) == ("loopback-chat", "user")
    assert (sent["seed"], sent["temperature"], sent["max_completion_tokens"]) == (0, 0.0, 512)
    (payment,) = all_payments(object_store, store_prefix)
    lake = Lake(object_store, store_prefix, tmp_path / "parts")
    (row,) = lake.read(record_ledger(lake, store_prefix)).iter_rows(named=True)
    assert (row["embedder"], row["mode"], row["tokens_from"]) == ("loopback", "batch", "usage")
    assert (row["receipt_id"], row["paid_at"]) == ("batch-batch-0", payment.paid_at)
    assert (row["n_texts"], row["n_requests"], row["n_unanswered"]) == (5, 5, 0)
    assert (row["tokens"], row["output_tokens"]) == (5 * IN, 5 * OUT)
    assert row["dollars"] == pytest.approx(5 * HALF, rel=1e-15)


def test_a_reply_of_a_batch_is_the_reply_of_a_request(until_done, run, hosted, new_cache):
    batched, _ = until_done()
    assert texts(batched) == texts(complete(hosted(), new_cache(hosted()), CHATS, show=False))
    single = complete(hosted(id="other"), new_cache(hosted(id="other")), CHATS, show=False)
    assert [outcome.reply for outcome in batched] == [outcome.reply for outcome in single]


def test_while_a_batch_is_under_way_its_chats_are_asked_by_nobody_else(
    run, service, settled, hosted, new_cache, object_store, store_prefix
):
    service.finished = False
    with pytest.raises(PendingChatsError):
        run(CHATS[:3])
    assert forecast_chats(hosted(), new_cache(hosted()), CHATS).n_new == 2
    with pytest.raises(PendingChatsError, match="3 chats are in 1 batches"):
        run(CHATS[:3], batch_api=False)
    with pytest.raises(PendingChatsError, match="5 chats are in 2 batches"):
        run()
    asked = (object_store, store_prefix, lambda _: hosted(), "chats")
    assert sorted(len(job.addresses) for job in unfinished_batches(*asked)) == [2, 3]
    assert unfinished_batches(object_store, store_prefix, lambda _: hosted()) == []
    service.finished = True
    assert unfinished_batches(*asked) == []
    assert texts(run()) == ANSWERS
    settled()


def test_a_batch_under_way_counts_against_the_limit_that_embedders_share(run, service, hosted):
    service.finished = False
    most = 0.5 * (hosted().count_tokens(CHATS[0]) * 1000 + 512 * 2000) / 1e6
    with pytest.raises(PendingChatsError):
        run(CHATS[:1], dollars=1.5 * most)
    with pytest.raises(ChatBudgetError, match="under way"):
        run(CHATS[:2], dollars=1.5 * most)
    assert len(service.batches) == 1
    service.finished = True
    with pytest.raises(PendingChatsError):  # it cost less than was set aside
        run(CHATS[:2], dollars=1.5 * most)
    assert len(run(CHATS[:2], dollars=1.5 * most)) == 2


@pytest.mark.parametrize(("batches", "n_batches", "runs"), [("all", 2, 3), ("first", 1, 2)])
def test_an_answer_that_breaks_its_form_is_asked_again_as_declared(
    until_done, service, object_store, store_prefix, batches, n_batches, runs
):
    service.write = lambda body: "five" if body["seed"] == 0 else '{"gift": 4}'
    chats = [Chat(f"How much, {number}?", answer_format=GIFT) for number in range(2)]
    outcomes, number = until_done(chats, batches=batches)
    assert [(outcome.parsed, len(outcome.faults)) for outcome in outcomes] == [({"gift": 4}, 1)] * 2
    assert (len(service.batches), number) == (n_batches, runs)
    assert sum(service.asked.values()) == 4
    modes = [payment.mode for payment in all_payments(object_store, store_prefix)]
    assert sorted(modes) == (["batch"] * 2 if batches == "all" else ["batch", *["request"] * 2])


def test_a_service_without_batches_is_asked_singly(run, service):
    assert texts(run(batches="none")) == ANSWERS
    assert not service.batches


def test_failed_unusable_and_missing_answers_are_asked_for_again(
    until_done, service, object_store, store_prefix
):
    def spoil(lines):
        service.spoil_batch = lambda lines: lines
        error = {"code": "server_error", "message": "sorry"}
        lines[0] |= {"error": error, "response": None}
        lines[1]["response"]["body"]["choices"] = []
        return lines[:-1]

    service.spoil_batch = spoil
    outcomes, runs = until_done()
    assert (texts(outcomes), runs) == (ANSWERS, 3)
    assert sorted(service.asked.values()) == [1, 1, 2, 2, 2]
    first, second = all_payments(object_store, store_prefix)
    assert sorted([first.n_texts, second.n_texts]) == [2, 3]
    assert sorted([first.n_requests, second.n_requests]) == [3, 3], "an unusable one is charged"


@pytest.mark.parametrize("status", ["expired", "cancelled"])
def test_what_a_batch_that_was_cut_short_answered_is_kept(until_done, service, status):
    def spoil(lines):
        service.spoil_batch, service.ends_as = lambda lines: lines, "completed"
        error = {"code": f"batch_{status}", "message": "not in time"}
        return [lines[0], *(line | {"error": error, "response": None} for line in lines[1:])]

    service.spoil_batch, service.ends_as = spoil, status
    outcomes, _ = until_done()
    assert texts(outcomes) == ANSWERS
    assert sorted(service.asked.values()) == [1, 2, 2, 2, 2]


def test_a_batch_that_the_service_refuses_costs_nothing_and_says_why(
    run, until_done, service, settled, object_store, store_prefix
):
    service.ends_as, service.spoil_batch = "failed", lambda lines: []
    with pytest.raises(RefusedChatError, match="refused batch batch-0: invalid_file: no batch"):
        until_done()
    assert all_payments(object_store, store_prefix) == []
    service.ends_as, service.spoil_batch = "completed", lambda lines: lines
    service.asked.clear()
    assert texts(until_done()[0]) == ANSWERS
    settled()


def test_chats_that_always_fail_are_named_and_the_others_kept(until_done, service):
    error = {"code": "invalid", "message": "no good"}
    bad = CHATS[3].address
    service.spoil_batch = lambda lines: [
        line | {"error": error, "response": None} if line["custom_id"] == bad else line
        for line in lines
    ]
    with pytest.raises(ChatError, match=r"1 of 1 chats were .* 3 batches .*gene 3.*no good"):
        until_done()
    assert len(service.batches) == 3
    assert sorted(service.asked.values()) == [1, 1, 1, 1, 3]


def test_a_batch_of_another_model_is_refused_and_on_record(
    until_done, service, object_store, store_prefix
):
    def spoil(lines):
        for line in lines:
            line["response"]["body"]["model"] = "another"
        return lines

    service.spoil_batch = spoil
    with pytest.raises(RefusedChatError, match="answered by 'another'"):
        until_done()
    (payment,) = all_payments(object_store, store_prefix)
    assert (payment.n_texts, payment.tokens, payment.output_tokens) == (0, 5 * IN, 5 * OUT)


def test_without_stated_usage_tokens_are_estimated(
    until_done, service, object_store, store_prefix, hosted
):
    def spoil(lines):
        for line in lines:
            del line["response"]["body"]["usage"]
        return lines

    service.spoil_batch = spoil
    outcomes, _ = until_done()
    tokens = hosted().count_tokens(CHATS[0])
    assert {outcome.reply.input_tokens for outcome in outcomes} == {tokens}
    (payment,) = all_payments(object_store, store_prefix)
    assert (payment.tokens, payment.tokens_from) == (5 * tokens, "estimate")
    assert payment.output_tokens == sum(hosted().counter.count(ANSWERS))


def test_a_question_that_does_not_fit_is_in_no_batch(run, service):
    chat = Chat("Why?", sampling=SamplingOptions(max_output_tokens=4000))
    with pytest.raises(RefusedChatError, match="a question is empty"):
        run([chat, Chat(" ")])
    assert not service.batches


@pytest.mark.parametrize("moment", ["upload", "create", "created", "read", "keep", "forget"])
def test_killed_at_any_moment_a_batch_is_paid_for_once(
    until_done, settled, hosted, new_cache, moment
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
    assert jobs_of(new_cache(hosted()))
    assert texts(until_done()[0]) == ANSWERS
    with ChatBudget(hosted(), new_cache(hosted()), SpendingLimit(), "run-2"):
        pass  # forgets what a kill left on record although it was kept
    settled()


def test_a_process_that_is_killed_between_submission_and_storing_pays_once(
    tmp_path, service, object_store
):
    (tmp_path / "models.toml").write_text(
        '[models.loopback]\nmodel = "loopback-chat"\ncontext_tokens = 1000\n'
        "dollars_per_million_tokens = 1000\ndollars_per_million_output_tokens = 2000\n"
    )
    settings = {
        "state_dir": str(tmp_path / "state"),
        **storage_settings(object_store),
        "product": "killed-chats",
        "openai_base_url": service.url,
        "openai_api_key": "sk-planted",
        "language_models": str(tmp_path / "models.toml"),
        "embedding_batch_api": True,
    }
    (tmp_path / "settings.json").write_text(json.dumps(settings))

    command = [str(SUPPORT / "chat_run.py"), str(tmp_path / "settings.json"), "5"]
    killed = subprocess.run(
        [sys.executable, *command, "killed-when-created"],
        env=os.environ | {"PYTHONPATH": f"{PROJECT}:{SUPPORT}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(service.batches) == 1
    assert answers(Settings(**settings), 5, None) == ANSWERS
    assert (len(service.batches), set(service.asked.values())) == (1, {1})
    (payment,) = all_payments(object_store, "killed-chats")
    assert (payment.mode, payment.n_texts, payment.dollars) == ("batch", 5, pytest.approx(5 * HALF))
