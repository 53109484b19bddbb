"""The budget of a language model: chats are paid for under a lease, and stored with their payment.

The lease, the limit and the ledger are those of embedders, too: see `genept.text.hosted`. What
came of the chats is `genept.language_models.completion`.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence

from genept.language_models.answer_cache import AnswerCache
from genept.language_models.chat_batches import ChatBatches, PendingChatsError
from genept.language_models.chat_service import ChatAnswer, ChatService
from genept.language_models.chats import Chat, RefusedChatError, Reply
from genept.text import MILLION, Pace, Payment, jobs_of, plain_loop
from genept.text.hosted import Spending, SpendingLimit, addresses_under_way, require_collected

ChatRunner = Callable[[Sequence[Chat], Callable[[Chat], None], int], None]
"""Has every chat completed by the function it is given, so many at once at the most."""


class ChatBudgetError(RefusedChatError):
    """The next request may exceed the spending limit; what was paid for is kept."""


class ChatBudget:
    """Pays for chats; a context that several threads may share.

    Parameters
    ----------
    service, cache
        The model and its cache.
    spending_limit
        What may be spent.
    run_id
        Of this run, for payments.
    waiting
        Called with the reason if another run is paying and has to be waited for.
    pace
        Keeps the limits of the service; None: it is asked at once, and again when it refuses.
    """

    def __init__(
        self,
        service: ChatService,
        cache: AnswerCache,
        spending_limit: SpendingLimit,
        run_id: str,
        waiting: Callable[[str], None] = lambda _: None,
        pace: Pace | None = None,
    ) -> None:
        self.service, self.cache, self.run_id = service, cache, run_id
        self.spending = Spending(
            cache.store,
            cache.product,
            spending_limit,
            RefusedChatError,
            ChatBudgetError,
            waiting,
            pace,
        )
        self._jobs = ChatBatches(service, cache, run_id, self._keep)
        self._sent: set[str] = set()
        self._lock = threading.Lock()

    @property
    def payments(self) -> list[Payment]:
        """What this run paid."""
        return self.spending.payments

    def __enter__(self) -> ChatBudget:
        self.spending.open(self.cache, self._jobs)
        self._sent = addresses_under_way(self._jobs.jobs)
        return self

    def __exit__(self, *_: object) -> None:
        self.spending.__exit__()

    def pay_all(
        self,
        chats: Sequence[Chat],
        runner: ChatRunner = plain_loop,
        advance: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Pay for any number of chats, by requests or, if the spending limit says so, by batches.

        Parameters
        ----------
        chats
            Chats; those with an outcome cost nothing.
        runner
            Runs the requests.
        advance
            Called with the number of chats that have an outcome, or were sent.

        Raises
        ------
        ChatError
            As in `pay`; `PendingChatsError` if some are in a batch that is not finished.
        """

        def pay(chat: Chat) -> None:
            self.pay(chat)
            advance(1)

        new = unfinished(self.cache, chats)
        if in_batches(self.service, self.spending.limit):
            self._send(new, advance)
        singly = [chat for chat in new if self._next(chat)]
        runner(singly, pay, self.service.declared.at_once)
        require_collected_chats(self.service, self.cache, new)

    def _send(self, chats: Sequence[Chat], advance: Callable[[float], None]) -> None:
        """Send as batches what may go into them."""
        pairs = ((chat, self._next(chat)) for chat in chats)
        every = self.service.declared.batches == "all"
        requests = [it for chat, it in pairs if it and (every or it.address == chat.address)]
        for request in requests:
            self.service.require_possible(request)
        for batch in self._jobs.packed(requests):
            with self.spending.until_refused():
                self.spending.send(self._jobs, batch)
                self._sent.update(request.address for request in batch)
            advance(len(batch))

    def pay(self, chat: Chat) -> None:
        """Request what a chat lacks, and store each reply with its payment.

        A request in a batch under way is left to it.

        Parameters
        ----------
        chat
            A chat; one that has an outcome costs nothing.

        Raises
        ------
        ChatBudgetError
            Before a request that may exceed the spending limit.
        ChatError
            No reply came.
        """
        with self.spending.until_refused():
            while (request := self._next(chat)) is not None:
                self._request(request)

    def _next(self, chat: Chat) -> Chat | None:
        """What is to be requested for a chat, unless it is in a batch under way."""
        with self._lock:
            request = self.cache.next_request(chat)
        return None if request is None or request.address in self._sent else request

    def _request(self, request: Chat) -> None:
        self.spending.confirm()
        tokens = self.service.count_tokens(request)
        dollars = dollars_of(self.service, tokens, request.sampling.max_output_tokens)
        with self.spending.request(
            self.service.id, dollars, tokens + request.sampling.max_output_tokens
        ):
            answer = self.service.ask(request)
            self.spending.adapt(answer.limits)
            if answer.n_requests or answer.n_unanswered:
                replies = {request.address: answer.reply} if answer.reply else {}
                self._keep(replies, self._payment(answer, tokens))
        if answer.failure:
            raise answer.failure

    def _keep(self, replies: Mapping[str, Reply], payment: Payment) -> None:
        with self._lock:
            self.cache.add(replies, payment)
            self.spending.record(payment)

    def _payment(self, answer: ChatAnswer, tokens: int) -> Payment:
        return Payment.made(
            self.service,
            answer.tokens,
            tokens,
            output_tokens=answer.output_tokens,
            output_price=self.service.declared.dollars_per_million_output_tokens,
            receipt_id=f"request-{secrets.token_hex(12)}",
            run_id=self.run_id,
            mode="request",
            n_texts=int(answer.reply is not None),
            n_requests=answer.n_requests,
            n_unanswered=answer.n_unanswered,
        )


def unfinished(cache: AnswerCache, chats: Sequence[Chat]) -> list[Chat]:
    """Which chats have no outcome yet.

    Parameters
    ----------
    cache
        Of the model.
    chats
        Chats; may repeat.

    Returns
    -------
    list of Chat
        Each once, in order.
    """
    each = {chat.address: chat for chat in chats}
    return [chat for chat in each.values() if cache.next_request(chat) is not None]


def require_collected_chats(
    service: ChatService, cache: AnswerCache, chats: Sequence[Chat]
) -> None:
    """Refuse to go on while chats are in batches that are not collected.

    Parameters
    ----------
    service, cache
        The model and its cache.
    chats
        Chats that are wanted. Raises `PendingChatsError` if some are under way.
    """
    requests = [request for chat in chats if (request := cache.next_request(chat))]
    wanted = [request.address for request in requests]
    require_collected(PendingChatsError, service.id, jobs_of(cache), wanted)


def in_batches(service: ChatService, limit: SpendingLimit) -> bool:
    """Whether chats go through the Batch API: the limit says so, and the service has one."""
    declared = service.declared
    return limit.batch_api and declared.weights is None and declared.batches != "none"


def dollars_of(service: ChatService, tokens: int, output_tokens: int) -> float:
    """What so many tokens of input and output cost.

    Parameters
    ----------
    service
        The model.
    tokens, output_tokens
        How many.

    Returns
    -------
    float
        US$.
    """
    declared = service.declared
    output = output_tokens * declared.dollars_per_million_output_tokens
    return (tokens * declared.dollars_per_million_tokens + output) / MILLION
