"""Declarations of hosted text embedders, from `embedders.toml` and the user's own file.

Also what an embedder that charges must offer, and what may be spent. Opening one is
`genept.text.openai`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from genept.text.embedders import EmbeddingError, RefusedEmbeddingError, TextEmbedder

OPENAI_URL = "https://api.openai.com/v1"


class HostedModel(BaseModel):
    """One hosted embedder: what to request, what to expect, and what it costs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    model: str = Field(min_length=1, description="Name that the service knows it by.")
    echoes: tuple[str, ...] = Field((), description="Names it may answer under; none: `model`.")
    dimensions: int = Field(ge=1)
    shortened: bool = Field(False, description="Whether to ask for fewer than it has by nature.")
    max_tokens: int = Field(ge=1, description="Longer texts are refused.")
    unit_norm: bool = True
    dollars_per_million_tokens: float = Field(ge=0)
    batch_price: float = Field(0.5, ge=0, description="Price in the Batch API, of the full one.")
    encoding: str | None = Field(None, description="Its tokens, if tiktoken knows them.")
    base_url: str | None = Field(None, description="Service; none: that of the settings.")
    tokens_per_minute: int = Field(1_000_000, ge=1)
    requests_per_minute: int = Field(3_000, ge=1)
    at_once: int = Field(4, ge=1, le=64, description="Requests under way at the same time.")
    request_tokens: int = Field(300_000, ge=1)
    request_texts: int = Field(2_048, ge=1)

    @model_validator(mode="after")
    def _a_text_fits_a_request(self) -> Self:
        if self.request_tokens < self.max_tokens:
            raise ValueError(
                f"a text may have {self.max_tokens} tokens, a request no more than "
                f"{self.request_tokens}: lower `max_tokens` or raise `request_tokens`"
            )
        return self

    @property
    def answers_as(self) -> tuple[str, ...]:
        """The model names that an answer may carry."""
        return self.echoes or (self.model,)


@dataclass(frozen=True)
class SpendingLimit:
    """What may be spent, and how.

    Parameters
    ----------
    budget
        Dollars that the installation may have spent in all; None: no limit.
    batch_api
        Whether to use the Batch API: half the price, up to a day's wait.
    """

    budget: float | None = None
    batch_api: bool = False


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


def plain_loop(batches: Sequence[Sequence[str]], embed_batch: EmbedBatch, _at_once: int) -> None:
    """Embed one batch after the other, in this thread: the simplest `Runner`.

    Parameters
    ----------
    batches
        Texts by batch.
    embed_batch
        Embeds and stores a batch.
    """
    for batch in batches:
        embed_batch(batch)


@cache
def load_embedders(own: Path | None = None) -> dict[str, HostedModel]:
    """Load the hosted embedders by id: those of the platform, and those of a user's own file.

    Raises `RefusedEmbeddingError` if the file is missing or not TOML, or redefines an embedder of
    the platform.
    """
    known = _entries(files("genept.text").joinpath("embedders.toml").read_text("utf-8"), "")
    if own is None:
        return known
    try:
        added = _entries(own.read_text(encoding="utf-8"), f"{own}: ")
    except (OSError, tomllib.TOMLDecodeError, KeyError, ValidationError) as error:
        raise RefusedEmbeddingError(
            f"GENEPT_EMBEDDERS names {own}, which cannot be used: {error}"
        ) from error
    if doubled := sorted(set(known) & set(added)):
        raise RefusedEmbeddingError(
            f"{own} declares {doubled} anew: vectors are named after their embedder; choose "
            "another id"
        )
    return known | added


def _entries(text: str, where: str) -> dict[str, HostedModel]:
    parsed = tomllib.loads(text)
    if set(parsed) != {"embedders"}:
        raise KeyError(f"{where}expected tables [embedders.ID] and nothing else")
    return {id_: HostedModel(id=id_, **entry) for id_, entry in parsed["embedders"].items()}
