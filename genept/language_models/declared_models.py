"""Declarations of language models, from `language_models.toml` and the user's own file."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genept.language_models.chats import RefusedChatError, SamplingOptions


class ModelWeights(BaseModel):
    """The weights of a model that runs on this machine.

    Parameters
    ----------
    source, member
        Source in the catalogue, and the GGUF file in it.
    sha256
        Of that file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    member: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class LanguageModel(BaseModel):
    """One language model: what to request, what to expect, and what it costs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    model: str = Field(min_length=1, description="Name that the service knows it by.")
    echoes: tuple[str, ...] = Field((), description="Names it may answer under; none: `model`.")
    weights: ModelWeights | None = Field(None, description="Of a local model; none: it is hosted.")
    base_url: str | None = Field(None, description="Service; none: that of the settings.")
    context_tokens: int = Field(ge=1, description="Tokens of a question and its answer together.")
    dollars_per_million_tokens: float = Field(ge=0, description="Of input.")
    dollars_per_million_output_tokens: float = Field(ge=0)
    batch_price: float = Field(0.5, ge=0, description="Price in the Batch API, of the full one.")
    batches: Literal["all", "first", "none"] = Field(
        "all",
        description="What may go into batches: all requests, the first one of each chat (answers "
        "that break their form are asked again singly), or none (its service has no Batch API).",
    )
    tokens_per_second: float | None = Field(
        None, gt=0, description="That a local model writes, with its questions; for forecasts."
    )
    encoding: str | None = Field(None, description="Its tokens, if tiktoken knows them.")
    tokens_per_minute: int = Field(200_000, ge=1)
    requests_per_minute: int = Field(500, ge=1)
    at_once: int = Field(4, ge=1, le=64, description="Requests under way at the same time.")
    schemas: bool = Field(True, description="Whether it takes JSON schemas.")
    grammars: bool = Field(False, description="Whether it takes GBNF grammars, as llama.cpp does.")
    seeds: bool = Field(True, description="Whether it takes seeds.")
    limit_name: Literal["max_completion_tokens", "max_tokens"] = Field(
        "max_completion_tokens", description="What it calls the limit of an answer."
    )
    sampling: SamplingOptions = Field(
        default_factory=SamplingOptions, description="Where a chat says nothing."
    )

    @property
    def answers_as(self) -> tuple[str, ...]:
        """The model names that an answer may carry."""
        return self.echoes or (self.model,)


@cache
def load_language_models(own: Path | None = None) -> dict[str, LanguageModel]:
    """Load the declared language models.

    Parameters
    ----------
    own
        A user's own file; None: those of the platform only.

    Returns
    -------
    dict of str to LanguageModel
        By id. Raises `RefusedChatError` if the file is missing or not TOML, or redefines a model of
        the platform.
    """
    shipped = files("genept.language_models").joinpath("language_models.toml")
    known = _entries(shipped.read_text("utf-8"))
    if own is None:
        return known
    try:
        added = _entries(own.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, KeyError, ValidationError) as error:
        raise RefusedChatError(
            f"GENEPT_LANGUAGE_MODELS names {own}, which cannot be used: {error}"
        ) from error
    if doubled := sorted(set(known) & set(added)):
        raise RefusedChatError(
            f"{own} declares {doubled} anew: answers are named after their model; choose another id"
        )
    return known | added


def _entries(text: str) -> dict[str, LanguageModel]:
    parsed = tomllib.loads(text)
    if set(parsed) != {"models"}:
        raise KeyError("expected tables [models.ID] and nothing else")
    return {id_: LanguageModel(id=id_, **entry) for id_, entry in parsed["models"].items()}
