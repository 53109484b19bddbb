"""Chats through the cache: once, in form, within the limit, on record, and after a kill."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
from chat_run import questions
from hosted_step import SUPPORT
from installations import PROJECT, storage_settings
from pydantic import SecretStr

from genept.language_models.answer_formats import AnswerFormat
from genept.language_models.chat_budget import ChatBudget, ChatBudgetError, unfinished
from genept.language_models.chat_lists import get_chats, put_chats
from genept.language_models.chats import Chat, ChatError, RefusedChatError, SamplingOptions
from genept.language_models.completion import complete, forecast_chats, in_threads
from genept.language_models.prompts import load_prompts
from genept.storage.lake import Lake
from genept.text.hosted.budget import Budget, BudgetError
from genept.text.hosted.hosted_models import HostedModel, SpendingLimit
from genept.text.hosted.ledger import all_payments, record_ledger
from genept.text.hosted.openai import OpenAIEmbedder
from genept.text.vector_cache import VectorCache

CHATS = [Chat(f"What does gene {number} do?") for number in range(5)]
IN, OUT = 5, 11
DOLLARS = (IN * 1000 + OUT * 2000) / 1e6
GIFT = AnswerFormat.of_schema(
    {
        "type": "object",
        "properties": {"gift": {"type": "number", "maximum": 10}},
        "required": ["gift"],
    }
)


def test_what_was_asked_before_is_not_asked_again(service, hosted, new_cache):
    first = complete(hosted(), new_cache(hosted()), CHATS)
    again = complete(hosted(), new_cache(hosted()), [*reversed(CHATS), CHATS[0]])
    assert [outcome.text for outcome in first] == [
        f"an answer to What does gene {number} do? drawn by 0" for number in range(5)
    ]
    assert [outcome.reply for outcome in again] == [
        outcome.reply for outcome in [*reversed(first), first[0]]
    ]
    assert set(service.asked.values()) == {1}


def test_whatever_decides_an_answer_is_part_of_its_key(service, hosted, new_cache):
    chat = CHATS[0]
    variants = [
        chat,
        Chat(chat.user, "You know genes."),
        Chat(chat.user, sampling=SamplingOptions(seed=1)),
        Chat(chat.user, sampling=SamplingOptions(temperature=0.5)),
        Chat(chat.user, sampling=SamplingOptions(max_output_tokens=7)),
        Chat(chat.user, answer_format=AnswerFormat(grammar="root ::= .+")),
    ]
    complete(hosted(), new_cache(hosted()), variants)
    complete(hosted(model="another"), new_cache(hosted(model="another")), [chat])
    assert len(service.bodies) == 7


def test_payments_are_in_the_ledger_to_the_last_token(
    service, hosted, new_cache, object_store, store_prefix, tmp_path
):
    complete(hosted(), new_cache(hosted()), CHATS)
    payments = all_payments(object_store, store_prefix)
    assert [(p.tokens, p.output_tokens, p.n_texts, p.tokens_from) for p in payments] == [
        (IN, OUT, 1, "usage")
    ] * 5
    assert sum(payment.dollars for payment in payments) == pytest.approx(5 * DOLLARS)
    lake = Lake(object_store, store_prefix, tmp_path / "parts")
    rows = lake.read(record_ledger(lake, store_prefix))
    assert rows.height == 5
    assert set(rows["embedder"]) == {"loopback"}
    assert rows["output_tokens"].to_list() == [OUT] * 5
    assert rows["dollars"].sum() == pytest.approx(5 * DOLLARS)


def test_compaction_keeps_replies_and_payments(
    service, hosted, new_cache, object_store, store_prefix
):
    cache = new_cache(hosted())
    complete(hosted(), cache, CHATS)
    before = all_payments(object_store, store_prefix)
    assert cache.compact(2)
    assert len(list(object_store.list(cache.prefix))) == 1
    assert all_payments(object_store, store_prefix) == before
    assert complete(hosted(), new_cache(hosted()), CHATS)[3].text.endswith("gene 3 do? drawn by 0")
    assert len(service.bodies) == 5


def test_an_answer_that_breaks_its_schema_is_asked_anew_with_another_seed(
    service, hosted, new_cache, object_store, store_prefix
):
    answers = iter(["I give 5", '{"gift": 130}', '{"gift": 4}'])
    service.write = lambda body: next(answers)
    chat = Chat("How much?", answer_format=GIFT)
    (outcome,) = complete(hosted(), new_cache(hosted()), [chat])
    assert outcome.parsed == {"gift": 4}
    assert [fault.split(":")[0] for fault in outcome.faults] == [
        "is not JSON",
        "breaks the schema at $.gift",
    ]
    assert len({body["seed"] for body in service.bodies}) == 3
    assert [body["temperature"] for body in service.bodies] == [0.0, 0.7, 0.7]
    assert len(all_payments(object_store, store_prefix)) == 3


def test_after_three_it_is_refused_with_the_reason_and_never_asked_again(
    service, hosted, new_cache
):
    service.write = lambda body: '{"gift": 130}'
    chat = Chat("How much?", answer_format=GIFT)
    (outcome,) = complete(hosted(), new_cache(hosted()), [chat])
    assert outcome.text is None
    assert "none of 3 answers has the required form" in outcome.reason
    assert "130 is greater than the maximum of 10" in outcome.reason
    with pytest.raises(ChatError, match="none of 3 answers"):
        outcome.parsed  # noqa: B018
    assert complete(hosted(), new_cache(hosted()), [chat]) == [outcome]
    assert len(service.bodies) == 3


def test_an_answer_that_was_cut_says_so(service, hosted, new_cache):
    service.write = lambda body: '{"gift": 4}'
    service.faults = ["length"] * 3
    chat = Chat("How much?", sampling=SamplingOptions(max_output_tokens=9), answer_format=GIFT)
    (outcome,) = complete(hosted(), new_cache(hosted()), [chat])
    assert "it was cut after 9 tokens" in outcome.reason


def test_a_model_that_declines_is_not_pressed(service, hosted, new_cache):
    service.faults = ["refusal"]
    (outcome,) = complete(hosted(), new_cache(hosted()), CHATS[:1])
    assert (outcome.text, outcome.reason) == (
        None,
        "the model declined: I do not write about this.",
    )
    assert complete(hosted(), new_cache(hosted()), CHATS[:1]) == [outcome]
    assert len(service.bodies) == 1


def test_what_was_charged_for_nothing_is_on_record_too(
    service, hosted, new_cache, object_store, store_prefix
):
    service.faults = ["", "model"]
    with pytest.raises(RefusedChatError, match="another-model"):
        complete(hosted(), new_cache(hosted()), CHATS)
    payments = all_payments(object_store, store_prefix)
    assert sorted(payment.n_texts for payment in payments) == [0, 1]
    assert sum(payment.dollars for payment in payments) == pytest.approx(2 * DOLLARS)
    complete(hosted(), new_cache(hosted()), CHATS)
    assert sum(service.asked.values()) == 6, "only the second question was asked again"


def test_lost_answers_are_counted(service, hosted, new_cache, object_store, store_prefix):
    service.faults = ["cut", "500"]
    complete(hosted(), new_cache(hosted()), CHATS[:1])
    (payment,) = all_payments(object_store, store_prefix)
    assert (payment.n_requests, payment.n_unanswered) == (1, 1)


def test_the_limit_stops_before_a_request_that_may_exceed_it(
    service, hosted, new_cache, object_store, store_prefix
):
    chats = [Chat(chat.user, sampling=SamplingOptions(max_output_tokens=OUT)) for chat in CHATS]
    most = (hosted().count_tokens(chats[0]) * 1000 + OUT * 2000) / 1e6
    limit = SpendingLimit(DOLLARS + most)
    with pytest.raises(ChatBudgetError, match="raise GENEPT_EMBEDDING_BUDGET"):
        complete(hosted(), new_cache(hosted()), chats, limit)
    assert len(service.bodies) == 2
    assert sum(p.dollars for p in all_payments(object_store, store_prefix)) <= limit.budget
    complete(hosted(), new_cache(hosted()), chats, SpendingLimit(1.0))
    assert set(service.asked.values()) == {1}


def test_chats_and_embeddings_share_one_limit_and_one_lease(
    service, hosted, new_cache, object_store, store_prefix
):
    complete(hosted(), new_cache(hosted()), CHATS)
    model = HostedModel(
        id="vectors", model="m", dimensions=48, max_tokens=100, dollars_per_million_tokens=1000
    )
    embedder = OpenAIEmbedder(model, SecretStr("k"), service.url)
    cache = VectorCache(object_store, store_prefix, embedder)
    with Budget(embedder, cache, SpendingLimit(5 * DOLLARS), "run-2") as budget:
        assert budget.spending.lease.document.key == f"{store_prefix}/cache/paying.json"
        with pytest.raises(BudgetError, match="is spent"):
            budget.pay(["one text"])
    embedder.client.close()


def test_two_runs_never_pay_for_the_same_chat(service, hosted, new_cache):
    service.seconds = 0.05
    outcomes = []

    def run():
        outcomes.append(complete(hosted(), new_cache(hosted()), CHATS))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 3
    assert set(service.asked.values()) == {1}


def test_several_are_under_way_at_once(service, hosted, new_cache):
    service.seconds = 0.1

    chats = questions(12)
    complete(hosted(at_once=4), new_cache(hosted()), chats, runner=in_threads)
    assert 2 <= service.most_under_way <= 4
    assert set(service.asked.values()) == {1}
    assert len(service.asked) == 12


def test_a_failure_in_a_thread_ends_the_others_and_what_came_is_kept(service, hosted, new_cache):
    service.seconds = 0.05
    service.faults = ["", "", "", "quota", *["quota"] * 40]
    with pytest.raises(RefusedChatError, match="top it up"):
        complete(hosted(at_once=2), new_cache(hosted()), questions(20), runner=in_threads)
    assert len(service.faults) >= 40 - 2
    answered = len(service.asked)
    service.faults = []
    complete(hosted(), new_cache(hosted()), questions(20))
    assert answered == 3
    assert set(service.asked.values()) == {1}


def test_after_a_refusal_nothing_more_is_requested(service, hosted, new_cache):
    service.faults = ["quota"] * 9
    with (
        ChatBudget(hosted(), new_cache(hosted()), SpendingLimit(), "run-1") as budget,
    ):
        for chat in CHATS:
            with pytest.raises(RefusedChatError, match="top it up"):
                budget.pay(chat)
    assert len(service.faults) == 8


def test_a_run_that_lost_its_lease_requests_nothing(service, hosted, new_cache):
    with ChatBudget(hosted(), new_cache(hosted()), SpendingLimit(), "run-1") as budget:
        budget.spending.lease._until = 0.0
        with pytest.raises(RefusedChatError, match="another one may be paying"):
            budget.pay(CHATS[0])
    assert not service.bodies


def test_a_forecast_of_a_local_model_says_how_long_its_answers_may_take(hosted, new_cache):
    chats = [Chat(chat.user, sampling=SamplingOptions(max_output_tokens=60)) for chat in CHATS]
    assert forecast_chats(hosted(), new_cache(hosted()), chats).seconds is None
    local = hosted(tokens_per_second=30)
    assert forecast_chats(local, new_cache(local), chats).seconds == 2 * len(CHATS)


def test_a_forecast_is_never_below_what_is_paid(
    service, hosted, new_cache, object_store, store_prefix
):
    chats = [Chat(chat.user, sampling=SamplingOptions(max_output_tokens=30)) for chat in CHATS]
    complete(hosted(), new_cache(hosted()), chats[:2])
    cache = new_cache(hosted())
    forecast = forecast_chats(hosted(), cache, [*chats, chats[4]])
    assert (forecast.n_chats, forecast.n_new, forecast.most_output_tokens) == (5, 3, 90)
    assert len(service.bodies) == 2, "a forecast asks nothing"
    paid = sum(payment.dollars for payment in all_payments(object_store, store_prefix))
    complete(hosted(), cache, chats)
    after = sum(payment.dollars for payment in all_payments(object_store, store_prefix))
    assert 0 < after - paid <= forecast.dollars
    assert unfinished(cache, chats) == []


DECLARED = """
[models.loopback]
model = "loopback-chat"
context_tokens = 1000
dollars_per_million_tokens = 1
dollars_per_million_output_tokens = 2
"""
N_CHATS = 40
MOMENTS = random.Random(3)  # noqa: S311 - moments, not secrets


class Interrupted(BaseException):
    """The end of a process, which no code may catch."""


@pytest.mark.parametrize("moment", [0, 3, len(CHATS) - 1])
def test_after_an_interruption_only_what_was_under_way_is_asked_again(
    service, hosted, new_cache, object_store, store_prefix, moment
):
    """The kills below, in one process: it ends when an answer came, before that is kept."""
    cache, kept = new_cache(hosted()), []

    def keep(*answer):
        if len(kept) == moment:
            raise Interrupted
        kept.append(add(*answer))

    add, cache.add = cache.add, keep
    with pytest.raises(Interrupted):
        complete(hosted(), cache, CHATS)
    ended = complete(hosted(), new_cache(hosted()), CHATS)
    assert [outcome.text for outcome in ended] == [
        f"an answer to What does gene {number} do? drawn by 0" for number in range(len(CHATS))
    ]
    asked = [service.asked[f"{chat.user} @0"] for chat in CHATS]
    assert asked == [2 if number == moment else 1 for number in range(len(CHATS))]
    payments = all_payments(object_store, store_prefix)
    assert sum(payment.n_texts for payment in payments) == len(CHATS)


@pytest.mark.slow
def test_after_a_kill_only_what_was_under_way_is_asked_again(
    service, object_store, store_prefix, tmp_path
):
    service.seconds = 0.02
    (tmp_path / "models.toml").write_text(DECLARED)
    settings = {
        "state_dir": str(tmp_path / "state"),
        **storage_settings(object_store),
        "product": store_prefix.replace("tests/", "").replace("_", "-"),
        "openai_base_url": service.url,
        "openai_api_key": "sk-planted-marker-key",
        "language_models": str(tmp_path / "models.toml"),
    }
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    command = [str(SUPPORT / "chat_run.py"), str(tmp_path / "settings.json"), str(N_CHATS)]
    environment = os.environ | {"PYTHONPATH": f"{PROJECT}:{SUPPORT}"}
    kills = 0
    for _ in range(3):
        asked = sum(service.asked.values())
        run = subprocess.Popen([sys.executable, *command], env=environment, text=True)
        end = time.monotonic() + 60
        while sum(service.asked.values()) == asked and run.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.005)
        time.sleep(MOMENTS.uniform(0, 0.2))
        run.send_signal(signal.SIGKILL)
        kills += run.wait() == -signal.SIGKILL
    assert 0 < len(service.asked) < N_CHATS, "the kills came too late to test anything"
    ended = subprocess.run(
        [sys.executable, *command],
        env=environment,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1]) == [
        f"an answer to What does gene {number} do? drawn by 0" for number in range(N_CHATS)
    ]
    assert kills == 3
    assert sum(service.asked.values()) <= N_CHATS + kills, "one request was under way each time"
    payments = all_payments(object_store, settings["product"])
    assert sum(payment.n_texts for payment in payments) == N_CHATS
    assert "sk-planted" not in ended.stdout + ended.stderr


def test_a_list_of_chats_is_read_as_it_was_stored(object_store, store_prefix):
    prompt = load_prompts()["gene-dimension"]
    values = dict.fromkeys(("symbol", "name", "dimension", "texts"), "é")
    chats = [*CHATS, Chat("How much?", "x", SamplingOptions(seed=3), GIFT), prompt.chat(values)]
    key = put_chats(object_store, store_prefix, chats)
    assert get_chats(object_store, key) == chats
    assert put_chats(object_store, store_prefix, chats) == key


def test_what_is_completed_elsewhere_is_not_asked_from_here(service, hosted, new_cache):
    def elsewhere(_service, cache, chats):
        complete(hosted(), new_cache(hosted()), chats[:n_completed])

    n_completed = 5
    outcomes = complete(hosted(), new_cache(hosted()), CHATS, remote=elsewhere)
    assert len(service.bodies) == len(outcomes) == 5
    n_completed = 2
    with pytest.raises(ChatError, match="3 chats have no answer still"):
        complete(hosted(), new_cache(hosted()), questions(10)[5:], remote=elsewhere)
    assert len(service.bodies) == 7
