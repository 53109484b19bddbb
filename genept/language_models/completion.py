"""Chats are completed through the cache: what a model was asked before is not asked again.

Chats of a hosted model are paid for by `genept.language_models.chat_budget`; those of a local model
cost nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from genept.common import console, progress_bar
from genept.language_models.answer_cache import AnswerCache
from genept.language_models.chat_budget import (
    ChatBudget,
    ChatRunner,
    dollars_of,
    in_batches,
    require_collected_chats,
    unfinished,
)
from genept.language_models.chat_service import ChatService
from genept.language_models.chats import Chat, ChatError, ChatOutcome
from genept.text import jobs_of, plain_loop
from genept.text.hosted import SpendingLimit, addresses_under_way

CompleteRemotely = Callable[[ChatService, AnswerCache, Sequence[Chat]], None]
"""Has chats completed elsewhere: their replies are in the cache when it returns. Raises `ChatError`
if they are not."""


def complete(
    service: ChatService,
    cache: AnswerCache,
    chats: Sequence[Chat],
    spending_limit: SpendingLimit | None = None,
    runner: ChatRunner = plain_loop,
    remote: CompleteRemotely | None = None,
    *,
    show: bool = True,
) -> list[ChatOutcome]:
    """Complete chats; only requests without a stored reply are sent.

    Parameters
    ----------
    service
        The model.
    cache
        Its cache.
    chats
        Chats; may repeat.
    spending_limit
        What a hosted model may cost; None: no limit.
    runner
        Runs the requests.
    remote
        Has the chats of a hosted model completed; None: it is asked from here.
    show
        Whether a bar shows how far it is, on a terminal.

    Returns
    -------
    list of ChatOutcome
        One per chat, in order: an answer, or the reason why there is none.

    Raises
    ------
    ChatError
        A request could not be made, or was not answered, or is in a batch under way
        (`PendingChatsError`); what was answered is kept.
    """
    missing = unfinished(cache, chats)
    if missing and remote and service.declared.weights is None:
        remote(service, cache, missing)
        cache.refresh()
        require_collected_chats(service, cache, chats)
        if left := unfinished(cache, chats):  # never paid for from here, too
            raise ChatError(f"{service.id}: {len(left)} chats have no answer still")
    elif missing:
        bar = progress_bar(f"asking: {service.id}", len(missing)) if show else _no_bar()
        with bar as advance:
            if service.declared.weights is None:
                run_id, limit = f"run-{secrets.token_hex(8)}", spending_limit or SpendingLimit()
                with ChatBudget(service, cache, limit, run_id, console.print) as budget:
                    budget.pay_all(missing, runner, advance)
            else:
                for chat in missing:
                    _complete_freely(service, cache, chat)
                    advance(1)
        cache.compact()
    return [cache.outcome(chat) for chat in chats]


def _no_bar() -> AbstractContextManager[Callable[[float], None]]:
    return nullcontext(lambda _: None)


def _complete_freely(service: ChatService, cache: AnswerCache, chat: Chat) -> None:
    while (request := cache.next_request(chat)) is not None:
        answer = service.ask(request)
        if answer.reply is None:
            raise answer.failure or ChatError(f"{service.id}: no reply came")
        cache.add({request.address: answer.reply}, None)


def in_threads(chats: Sequence[Chat], answer: Callable[[Chat], None], at_once: int) -> None:
    """Have chats answered by several threads; a `ChatRunner`.

    Parameters
    ----------
    chats
        Chats.
    answer
        Has one answered, and stores what comes.
    at_once
        How many at the same time.
    """
    with ThreadPoolExecutor(at_once) as pool:
        under_way = [pool.submit(answer, chat) for chat in chats]
        try:
            for future in under_way:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # those under way are kept
            raise


@dataclass(frozen=True)
class ChatForecast:
    """What the chats that have no outcome yet may cost.

    Parameters
    ----------
    model
        Its id.
    n_chats, n_new
        Distinct chats, and those without an outcome that are in no batch under way.
    tokens, most_output_tokens
        Of their questions, and the most that their answers may have.
    dollars
        The most that one request for each may cost.
    seconds
        That a model on this machine may need for answers of that length; None: not known.
    basis
        How tokens were counted.
    """

    model: str
    n_chats: int
    n_new: int
    tokens: int
    most_output_tokens: int
    dollars: float
    seconds: float | None
    basis: str


def forecast_chats(
    service: ChatService,
    cache: AnswerCache,
    chats: Sequence[Chat],
    spending_limit: SpendingLimit | None = None,
) -> ChatForecast:
    """Forecast what chats cost; no request is sent.

    Parameters
    ----------
    service
        The model.
    cache
        Its cache.
    chats
        Chats; may repeat.
    spending_limit
        Says whether they are to go through the Batch API; None: they are not.

    Returns
    -------
    ChatForecast
        Without repetitions of answers that break their form.
    """
    sent = addresses_under_way(jobs_of(cache))
    pairs = ((chat, cache.next_request(chat)) for chat in unfinished(cache, chats))
    new = [chat for chat, request in pairs if request and request.address not in sent]
    tokens = sum(map(service.count_tokens, new))
    most = sum(chat.sampling.max_output_tokens for chat in new)
    n_chats = len({chat.address for chat in chats})
    batched = in_batches(service, spending_limit or SpendingLimit())
    price = service.declared.batch_price if batched else 1.0
    dollars, basis = dollars_of(service, tokens, most) * price, service.counter.basis
    speed = service.declared.tokens_per_second
    seconds = None if speed is None else most / speed
    return ChatForecast(service.id, n_chats, len(new), tokens, most, dollars, seconds, basis)
