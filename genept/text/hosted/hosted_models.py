"""Declarations of hosted text embedders: entries of `embedders.toml`, and of a user's own files.

Also what may be spent. What every embedder that charges must offer is `genept.text.metered`;
opening one is `genept.text.hosted.openai`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from genept.common import problems_of
from genept.text.embedder_entries import all_entries
from genept.text.embedders import UnusableModelError


class HostedModel(BaseModel):
    """One hosted embedder: what to request, what to expect, and what it costs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    kind: Literal["hosted"] = "hosted"
    repository: str | None = Field(None, description="Where its weights are published, if so.")
    licence: str = Field("", description="Of its weights, if they are published.")
    own_server: bool = Field(False, description="Whether it needs a server of the user's own.")
    model: str = Field(min_length=1, description="Name that the service knows it by.")
    echoes: tuple[str, ...] = Field((), description="Names it may answer under; none: `model`.")
    dimensions: int = Field(ge=1)
    shortened: bool = Field(False, description="Whether to ask for fewer than it has by nature.")
    max_tokens: int = Field(ge=1, description="Longer texts are refused.")
    unit_norm: bool = True
    dollars_per_million_tokens: float = Field(ge=0)
    batch_price: float = Field(0.5, ge=0, description="Price in the Batch API, of the full one.")
    encoding: str | None = Field(None, description="Its tokens, if tiktoken knows them.")
    tokenizer: Path | None = Field(None, description="tokenizer.json that counts its tokens.")
    query_prefix: str = Field("", description="What stands before a query.")
    passage_prefix: str = Field("", description="What stands before a text that is searched.")
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

    def prefixed(self, texts: Sequence[str]) -> list[str]:
        """Texts as they are sent."""
        return [self.passage_prefix + text for text in texts]

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


def load_embedders(*own: Path) -> dict[str, HostedModel]:
    """Load the hosted embedders by id: those of the platform, and those of a user's own files.

    Raises `UnusableModelError` if a file cannot be read, an entry is wrong, or an embedder of the
    platform is declared anew.
    """
    models = {}
    for id_, entry in all_entries(*own).items():
        if entry["kind"] == "hosted":
            try:
                models[id_] = HostedModel(**entry)
            except ValidationError as error:
                raise UnusableModelError(f"[embedders.{id_}]: {problems_of(error)}") from error
    return models
