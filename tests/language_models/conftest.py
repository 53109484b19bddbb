"""A language model of a service on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from loopback_chats import LoopbackChats
from loopback_openai import serving
from pydantic import SecretStr

from genept.language_models.answer_cache import AnswerCache
from genept.language_models.chat_service import ChatService
from genept.language_models.declared_models import LanguageModel
from genept.text.hosted.service import RequestPolicy

KEY = "sk-planted-marker-key"
DECLARED = LanguageModel(
    id="loopback",
    model="loopback-chat",
    context_tokens=1000,
    dollars_per_million_tokens=1000,  # a token is a word there: a question of 4 costs $0.004
    dollars_per_million_output_tokens=2000,
    grammars=True,
)
QUICK = RequestPolicy(connect=2, read=0.6, attempts=4, first_wait=0.01, longest_wait=0.5)


@pytest.fixture
def service() -> Iterator[LoopbackChats]:
    """A hosted service on loopback that has not been asked for anything yet."""
    service = LoopbackChats()
    with serving(service) as url:
        service.url = url
        yield service


@pytest.fixture
def hosted(service: LoopbackChats) -> Iterator[Callable[..., ChatService]]:
    """Makes clients of that service; keywords change the declaration."""
    opened: list[ChatService] = []

    def open_(**changes: object) -> ChatService:
        declared = DECLARED.model_copy(update=changes)
        opened.append(ChatService(declared, SecretStr(KEY), service.url, QUICK))
        return opened[-1]

    yield open_
    for client in opened:
        client.close()


@pytest.fixture
def new_cache(object_store, store_prefix) -> Callable[[ChatService], AnswerCache]:
    """Caches as separate processes would open them."""
    return lambda service: AnswerCache(object_store, store_prefix, service)
