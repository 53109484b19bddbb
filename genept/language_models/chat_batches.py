"""Chats completed through the Batch API: half the price, and up to a day's wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from genept.language_models.answer_cache import AnswerCache
from genept.language_models.chat_service import ChatService
from genept.language_models.chats import Chat, ChatError, RefusedChatError, Reply
from genept.text import Payment
from genept.text.hosted import BatchJobs, Job, PendingBatchesError, stated_usage


class PendingChatsError(PendingBatchesError, ChatError):
    """Chats are in batches that the service has not finished: go on when it has."""

    what: ClassVar[str] = "chats"


class ChatBatches(BatchJobs[Chat, Reply]):
    """The batches of one language model.

    Parameters
    ----------
    service, cache
        The model and its cache.
    run_id
        Of this run, for payments.
    keep
        Stores replies, by the addresses of the requests, with their payment.
    """

    endpoint, pending = "/v1/chat/completions", PendingChatsError

    def __init__(
        self,
        service: ChatService,
        cache: AnswerCache,
        run_id: str,
        keep: Callable[[Mapping[str, Reply], Payment], None],
    ) -> None:
        super().__init__(service, cache, run_id, keep)
        self.model = service

    @property
    def price(self) -> float:
        """Share of the full price that is paid."""
        return self.model.declared.batch_price

    @property
    def output_price(self) -> float:
        """US$ per million tokens that are written, at the full price."""
        return self.model.declared.dollars_per_million_output_tokens

    def address(self, item: Chat) -> str:
        """SHA-256 of a request."""
        return item.address

    def shown(self, item: Chat) -> str:
        """The question."""
        return item.user

    def requests(self, items: Sequence[Chat]) -> list[dict[str, Any]]:
        """A request for each chat."""
        return [self.model.request_body(chat) for chat in items]

    def count(self, items: Sequence[Chat]) -> tuple[int, int]:
        """Tokens of the questions, and the most that their answers may have."""
        longest = sum(chat.sampling.max_output_tokens for chat in items)
        return sum(map(self.model.count_tokens, items)), longest

    def read(self, body: dict[str, Any], job: Job, /) -> tuple[Reply | None, str, int]:
        """The reply of an answer; one that breaks its form is a reply, too."""
        try:
            reply = self.model.read(body, job.tokens // len(job.addresses))
        except RefusedChatError:
            raise
        except ChatError as error:
            return None, str(error), stated_usage(body, "completion_tokens") or 0
        return reply, "", reply.output_tokens
