"""One request to a service: what is sent, which failures pass, and what its reply says."""

import json
import time

import pytest
from pydantic import SecretStr

from genept.language_models.answer_formats import AnswerFormat
from genept.language_models.chat_service import ChatService
from genept.language_models.chats import Chat, ChatError, RefusedChatError, SamplingOptions

CHAT = Chat("What does TP53 do?", "You know genes.", SamplingOptions(seed=7, max_output_tokens=40))
SCHEMA = {
    "type": "object",
    "properties": {"known": {"type": "boolean"}},
    "required": ["known"],
    "additionalProperties": False,
}


def test_a_request_states_texts_sampling_and_form(service, hosted):
    chat = Chat(CHAT.user, CHAT.system, CHAT.sampling, AnswerFormat.of_schema(SCHEMA))
    answer = hosted().ask(chat)
    assert answer.failure is None
    assert service.keys == {"Bearer sk-planted-marker-key"}
    assert service.bodies == [
        {
            "model": "loopback-chat",
            "messages": [
                {"role": "system", "content": "You know genes."},
                {"role": "user", "content": "What does TP53 do?"},
            ],
            "temperature": 0.0,
            "top_p": 1.0,
            "seed": 7,
            "max_completion_tokens": 40,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
            },
        }
    ]


def test_what_a_service_does_not_take_is_not_sent(service, hosted):
    hosted(seeds=False, limit_name="max_tokens").ask(Chat("hello"))
    (body,) = service.bodies
    assert "seed" not in body
    assert (body["max_tokens"], "max_completion_tokens" in body) == (512, False)
    assert body["messages"] == [{"role": "user", "content": "hello"}]


def test_a_grammar_is_sent_as_llama_cpp_reads_it(service, hosted):
    hosted().ask(Chat("hello", answer_format=AnswerFormat(grammar='root ::= "yes"')))
    assert service.bodies[0]["grammar"] == 'root ::= "yes"'


def test_a_reply_says_what_it_took(service, hosted):
    answer = hosted().ask(CHAT)
    assert answer.reply.text == "an answer to What does TP53 do? drawn by 7"
    assert (answer.reply.input_tokens, answer.reply.output_tokens) == (7, 10)
    assert (answer.tokens, answer.output_tokens, answer.n_requests) == (7, 10, 1)
    assert (answer.reply.finish_reason, answer.reply.model) == ("stop", "loopback-chat")


@pytest.mark.parametrize("fault", ["429", "500", "reset", "hang", "cut", "truncated", "html"])
def test_a_failure_that_passes_is_tried_again(service, hosted, fault):
    service.faults = [fault]
    answer = hosted().ask(CHAT)
    assert answer.failure is None
    assert answer.n_unanswered == (fault not in ("429", "500"))
    assert answer.n_requests == 1


def test_a_service_is_waited_for_as_long_as_it_says(service, hosted):
    service.faults = ["429 retry-after"]
    began = time.monotonic()
    assert hosted().ask(CHAT).reply
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("quota", "top it up"),
        ("401", "check GENEPT_OPENAI_API_KEY"),
        ("400", "context_length_exceeded"),
    ],
)
def test_what_someone_must_fix_is_not_tried_again(service, hosted, fault, reason):
    service.faults = [fault, "500"]
    failure = hosted().ask(CHAT).failure
    assert isinstance(failure, RefusedChatError)
    assert reason in str(failure)
    assert "sk-planted" not in str(failure)
    assert service.faults == ["500"]


def test_a_service_that_never_answers_is_named(service, hosted):
    service.faults = ["cut"] * 4
    answer = hosted().ask(CHAT)
    assert "loopback: http://127.0.0.1" in str(answer.failure)
    assert not isinstance(answer.failure, RefusedChatError), "a later run may succeed"
    assert (answer.n_requests, answer.n_unanswered) == (0, 4)


def test_another_model_is_refused_though_it_was_charged(service, hosted):
    service.faults = ["model"]
    answer = hosted().ask(CHAT)
    assert isinstance(answer.failure, RefusedChatError)
    assert "answered by 'another-model'" in str(answer.failure)
    assert (answer.tokens, answer.output_tokens, answer.reply) == (7, 10, None)


@pytest.mark.parametrize("fault", ["no choices", "null"])
def test_an_answer_without_a_message_is_a_failure(service, hosted, fault):
    service.faults = [fault]
    answer = hosted().ask(CHAT)
    assert isinstance(answer.failure, ChatError)
    assert answer.n_requests == 1


def test_a_model_may_decline_and_a_filter_may_withhold(service, hosted):
    service.faults = ["refusal", "filter"]
    declined, withheld = hosted().ask(CHAT).reply, hosted().ask(CHAT).reply
    assert (declined.text, declined.declined) == ("", "I do not write about this.")
    assert withheld.declined == "a filter of the service withheld the answer"


def test_tokens_are_estimated_where_a_service_says_nothing(service, hosted):
    service.faults = ["no usage"]
    answer = hosted().ask(CHAT)
    assert answer.tokens is None
    assert answer.reply.input_tokens >= len("What does TP53 do?You know genes.") // 3
    assert answer.output_tokens == -(-len(answer.reply.text) // 3)


GRAMMAR, FORM = AnswerFormat(grammar='root ::= "y"'), AnswerFormat.of_schema(SCHEMA)


@pytest.mark.parametrize(
    ("chat", "changes", "reason"),
    [
        (Chat("  "), {}, "a question is empty"),
        (Chat("x", answer_format=GRAMMAR), {"grammars": False}, "takes no grammar"),
        (Chat("x", answer_format=FORM), {"schemas": False}, "takes no JSON schema"),
    ],
)
def test_what_a_model_cannot_be_asked_is_not_sent(service, hosted, chat, changes, reason):
    answer = hosted(**changes).ask(chat)
    with pytest.raises(RefusedChatError, match=reason):
        raise answer.failure
    assert not service.bodies


def test_identity_tells_services_and_models_apart_but_not_keys(hosted):
    usual, other = hosted(), hosted(model="another")
    declared = usual.declared
    elsewhere = ChatService(declared, usual.api_key, "http://127.0.0.1:1/v1")
    with_key = ChatService(declared, SecretStr("another"), usual.base_url)
    assert usual.identity == with_key.identity
    assert len({usual.identity, other.identity, elsewhere.identity}) == 3
    assert "sk-planted" not in repr(usual) + usual.identity + json.dumps(declared.model_dump())
