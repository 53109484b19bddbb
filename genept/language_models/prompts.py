"""Prompts as versioned files: what a model is asked, with places for values.

A prompt is a TOML file with `id`, `version`, `user` and, if wanted, `system` and `schema` or
`grammar`. Texts are Jinja templates. Its version is raised with every change: id, version and
SHA-256 of the file are part of a chat, and so of the key of its answer.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genept.language_models.answer_formats import AnswerFormat, FormatError
from genept.language_models.chats import Chat, PromptVersion, RefusedChatError, SamplingOptions

if TYPE_CHECKING:
    from jinja2 import Template


class Prompt(BaseModel):
    """A prompt, as its file declares it.

    Parameters
    ----------
    id, version
        Name and number; both appear in results.
    about
        One line on what it asks.
    system, user
        Templates of the two roles.
    json_schema
        Which form answers must have, as JSON schema; `schema` in the file.
    grammar
        … or as GBNF grammar.
    sha256
        Of the file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    version: int = Field(ge=1)
    about: str = ""
    system: str = ""
    user: str = Field(min_length=1)
    json_schema: dict[str, Any] | None = Field(None, alias="schema")
    grammar: str | None = None
    sha256: str = ""

    @cached_property
    def answer_format(self) -> AnswerFormat:
        """Which form answers must have."""
        schema = AnswerFormat.of_schema(self.json_schema).schema if self.json_schema else None
        return AnswerFormat(schema, self.grammar)

    @property
    def reference(self) -> PromptVersion:
        """Which prompt it is."""
        return PromptVersion(self.id, self.version, self.sha256)

    def chat(self, values: Mapping[str, Any], sampling: SamplingOptions | None = None) -> Chat:
        """The chat of this prompt with values in its places.

        Raises
        ------
        RefusedChatError
            A place has no value, or a template is wrong.
        """
        from jinja2 import TemplateError

        try:
            system, user = (_template(text).render(values) for text in (self.system, self.user))
        except TemplateError as error:
            raise RefusedChatError(f"prompt {self.id}: {error.message or error}") from None
        return Chat(
            user.strip(),
            system.strip(),
            sampling or SamplingOptions(),
            self.answer_format,
            self.reference,
        )


def read_prompt(content: bytes, where: str) -> Prompt:
    """Read the file of a prompt.

    Parameters
    ----------
    content
        Its bytes.
    where
        Its name, for errors.

    Returns
    -------
    Prompt
        Raises `RefusedChatError` if it cannot be used.
    """
    try:
        fields = tomllib.loads(content.decode())
        prompt = Prompt(**{**fields, "sha256": hashlib.sha256(content).hexdigest()})
        prompt.answer_format  # noqa: B018 - refuses what cannot be used
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError, FormatError) as error:
        raise RefusedChatError(f"{where} is no prompt that can be used: {error}") from None
    return prompt


def load_prompts() -> dict[str, Prompt]:
    """Load the prompts of the platform.

    Returns
    -------
    dict of str to Prompt
        By id.
    """
    folder = files("genept.language_models").joinpath("prompts")
    prompts = [
        read_prompt(file.read_bytes(), file.name)
        for file in folder.iterdir()
        if file.name.endswith(".toml")
    ]
    return {prompt.id: prompt for prompt in sorted(prompts, key=lambda prompt: prompt.id)}


def read_form(path: Path) -> AnswerFormat:
    """Read a JSON schema, or a grammar from a file that ends with ``.gbnf``.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    AnswerFormat
        Raises `RefusedChatError` if it cannot be used.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".gbnf":
            return AnswerFormat(grammar=text)
        return AnswerFormat.of_schema(json.loads(text))
    except (OSError, ValueError) as error:
        raise RefusedChatError(f"{path}: {error}") from None


@lru_cache(maxsize=64)  # compiling takes longer than filling in, and a prompt asks many questions
def _template(text: str) -> Template:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True
    )
    return environment.from_string(text)
