"""What an embedder that charges by the token must offer, and how its requests are run.

Embedders of this machine need none of it. Those of services are in `genept.text.hosted`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from genept.text.embedders import EmbeddingError, TextEmbedder


@dataclass(frozen=True)
class RateLimits:
    """What a service allows in a minute, as the headers of its answers say.

    Parameters
    ----------
    requests, tokens
        None where it does not say.
    """

    requests: int | None
    tokens: int | None

    @classmethod
    def stated(cls, headers: Mapping[str, str]) -> Self:
        """Read the headers of an answer."""

        def limit(what: str) -> int | None:
            value = headers.get(f"x-ratelimit-limit-{what}", "")
            return int(value) if value.isdecimal() and int(value) else None

        return cls(limit("requests"), limit("tokens"))


class Pace(Protocol):
    """Keeps the limits of a service; several threads may share it."""

    def wait(self, tokens: int) -> None:
        """Wait until a request of so many tokens may be sent."""

    def adapt(self, stated: RateLimits) -> None:
        """Take over what the service says that it allows."""


class Priced(Protocol):
    """What charges by the token of input."""

    @property
    def id(self) -> str:
        """Name under which its payments are recorded."""

    @property
    def dollars_per_million_tokens(self) -> float:
        """Its price."""


@dataclass(frozen=True)
class EmbeddingAnswer:
    """The result of one request to a service, good or bad.

    Parameters
    ----------
    texts
        Texts with a valid vector.
    vectors
        Their vectors, float32, texts × dimensions.
    tokens
        Tokens charged; None if the service did not say.
    n_requests, n_unanswered
        Requests with an answer, and those without a complete one.
    failure
        Why other texts have no vector; None if all have one.
    limits
        What the service allows, by its last answer; None if there was none.
    """

    texts: tuple[str, ...]
    vectors: npt.NDArray[np.float32]
    tokens: int | None
    n_requests: int
    n_unanswered: int
    failure: EmbeddingError | None
    limits: RateLimits | None = None


@runtime_checkable
class MeteredEmbedder(TextEmbedder, Protocol):
    """A text embedder that charges by the token, so that every answer is accounted for."""

    @property
    def counted_by(self) -> str:
        """How `count_tokens` counts, in words."""

    at_once: int
    """Number of requests that may be open at the same time."""

    tokens_per_minute: int
    """Most tokens that may be requested in a minute."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text: exact, or at least what the service is expected to charge."""

    def pack(self, texts: Sequence[str]) -> list[list[str]]:
        """Divide texts into requests that the service accepts."""

    def ask(self, texts: Sequence[str]) -> EmbeddingAnswer:
        """Embed the texts of one request, with retries; never raises."""


EmbedBatch = Callable[[Sequence[str]], None]

Runner = Callable[[Sequence[Sequence[str]], EmbedBatch, int], None]
"""Has every batch embedded by the function it is given, so many at once at the most.

Raises if one cannot be; a `RefusedEmbeddingError` is not worth trying again.
"""

Request = TypeVar("Request")


def plain_loop(
    requests: Sequence[Request], answer: Callable[[Request], None], _at_once: int
) -> None:
    """Have one request answered after the other, in this thread: the simplest `Runner`.

    Parameters
    ----------
    requests
        Batches of texts, or chats.
    answer
        Has one answered, and stores what comes.
    """
    for request in requests:
        answer(request)
