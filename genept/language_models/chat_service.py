"""Chats with a model behind OpenAI's protocol: one request, its retries, and its reply.

Paying is `genept.language_models.completion`. A model of this machine is asked in the same way:
`genept.language_models.local_server` serves it on loopback.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self

from pydantic import SecretStr

from genept.language_models.chats import Chat, ChatError, RefusedChatError, Reply
from genept.language_models.declared_models import LanguageModel
from genept.storage import sha256_of
from genept.text import RateLimits, TokenCounter
from genept.text.hosted import OpenAIService, RequestCount, RequestPolicy, stated_usage

PATIENCE: Final = RequestPolicy(read=300.0)
"""An answer comes as a whole: a long one takes minutes."""

ENVELOPE: Final = 12
"""Tokens around the texts of the two roles."""

FILTERED: Final = "content_filter"


@dataclass(frozen=True)
class ChatAnswer:
    """The result of one request, good or bad.

    Parameters
    ----------
    reply
        What the model replied; None if nothing usable came.
    tokens, output_tokens
        Charged; `tokens` is None if the service did not say.
    n_requests, n_unanswered
        Requests with an answer, and those without a complete one.
    failure
        Why there is no reply.
    limits
        What the service allows, by its last answer.
    """

    reply: Reply | None
    tokens: int | None
    output_tokens: int
    n_requests: int
    n_unanswered: int
    failure: ChatError | None
    limits: RateLimits | None = None


class ChatService(OpenAIService):
    """A language model that is asked over HTTP. No connection is opened before the first request.

    Parameters
    ----------
    declared
        The model.
    api_key
        Never logged, and not part of `identity`.
    base_url
        The service, if the declaration names none.
    retry_policy
        Waits and attempts; None: the defaults.
    """

    failed, refused = ChatError, RefusedChatError

    def __init__(
        self,
        declared: LanguageModel,
        api_key: SecretStr,
        base_url: str | None = None,
        retry_policy: RequestPolicy | None = None,
    ) -> None:
        super().__init__(
            declared.id, api_key, declared.base_url or base_url, retry_policy or PATIENCE
        )
        self.declared = declared
        self.counter = TokenCounter(declared.encoding)
        self.dollars_per_million_tokens = declared.dollars_per_million_tokens
        # Weights, or the address: another service may give the same name to other weights.
        place = declared.weights.sha256 if declared.weights else sha256_of(self.base_url)
        self.identity = f"{self.id}:model={declared.model}:service={place[:16]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the client, if it was opened."""
        if client := self.__dict__.pop("client", None):
            client.close()

    def count_tokens(self, chat: Chat) -> int:
        """Tokens of a question: exact, or at least what the service is expected to charge."""
        schema = chat.answer_format.schema or ""
        return ENVELOPE + sum(self.counter.count([chat.system, chat.user, schema]))

    def require_possible(self, chat: Chat) -> None:
        """Raise `RefusedChatError` if the model cannot be asked this."""
        declared, tokens = self.declared, self.count_tokens(chat)
        if not chat.user.strip():
            raise RefusedChatError(f"{self.id}: a question is empty")
        if chat.answer_format.schema and not declared.schemas:
            raise RefusedChatError(f"{self.id} takes no JSON schema (`schemas` in its declaration)")
        if chat.answer_format.grammar and not declared.grammars:
            raise RefusedChatError(f"{self.id} takes no grammar (`grammars` in its declaration)")
        wanted = tokens + chat.sampling.max_output_tokens
        if self.counter.is_exact and wanted > declared.context_tokens:
            raise RefusedChatError(
                f"{self.id}: a question of {tokens:,} tokens and an answer of "
                f"{chat.sampling.max_output_tokens:,} do not fit {declared.context_tokens:,}: "
                f"shorten it, or its answer; it begins {chat.user[:60]!r}"
            )

    def ask(self, chat: Chat) -> ChatAnswer:
        """Send one request, again after failures that pass; never raises a `ChatError`."""
        count = RequestCount()
        reply, failure, output_tokens = None, None, 0
        try:
            self.require_possible(chat)
            body = self.call(self.post, partial(self._create, chat), count, texts=[chat.user])
            count.answer(stated_usage(body, "prompt_tokens"))  # charged, good or not
            output_tokens = stated_usage(body, "completion_tokens") or 0
            reply = self.read(body, self.count_tokens(chat))
            output_tokens = reply.output_tokens
        except ChatError as error:
            failure = error
        return ChatAnswer(
            reply,
            count.tokens,
            output_tokens,
            count.answered,
            count.unanswered,
            failure,
            count.limits,
        )

    def request_body(self, chat: Chat) -> dict[str, Any]:
        """The body of a request, alone or in a batch."""
        declared, sampling = self.declared, chat.sampling
        texts = [("system", chat.system), ("user", chat.user)]
        return {
            "model": declared.model,
            "messages": [{"role": role, "content": text} for role, text in texts if text],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            declared.limit_name: sampling.max_output_tokens,
            **({"seed": sampling.seed} if declared.seeds else {}),
            **chat.answer_format.requested(),
        }

    def _create(self, chat: Chat) -> Any:
        body, known = self.request_body(chat), {"model", "messages"}
        extra = {name: value for name, value in body.items() if name not in known}
        return self.client.chat.completions.with_raw_response.create(
            model=body["model"], messages=body["messages"], extra_body=extra
        )

    def read(self, body: dict[str, Any], estimate: int) -> Reply:
        """What an answer says. Raises `ChatError` if it says nothing usable.

        `estimate` is how many tokens the question has, where the service does not say.
        """
        if (model := body.get("model")) not in self.declared.answers_as:
            raise RefusedChatError(
                f"{self.id}: requested the model {self.declared.model!r}, answered by {model!r}; "
                "if that is its name for this model, declare it under `echoes`; otherwise correct "
                "the service"
            )
        choices = body.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(choice, dict) or not isinstance(message, dict):
            raise ChatError(f"{self.id}: the service answered without a message")
        finish, text = choice.get("finish_reason"), message.get("content")
        declined = message.get("refusal")
        if finish == FILTERED and not declined:
            declined = "a filter of the service withheld the answer"
        if not declined and not isinstance(text, str):
            raise ChatError(f"{self.id}: the service answered a message without text")
        text = "" if declined or not isinstance(text, str) else text
        read = stated_usage(body, "prompt_tokens")
        written = stated_usage(body, "completion_tokens")
        return Reply(
            text=text,
            declined=str(declined or ""),
            finish_reason=str(finish),
            model=str(model),
            input_tokens=estimate if read is None else read,
            output_tokens=self.counter.count([text])[0] if written is None else written,
        )
