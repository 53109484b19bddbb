"""What is asked of a language model, and what came back: chats, replies and outcomes.

A chat is one request: what it consists of is its address, under which its reply is kept. Which form
an answer must have is `genept.language_models.answer_formats`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from genept.language_models.answer_formats import AnswerFormat
from genept.storage import sha256_of

SEED_STEP: Final = 1_000_003
"""Between the seeds of a chat and of its repetition, so that it is no other draw of the chat."""

SEEDS: Final = 2**31

WARMER: Final = 0.7
"""Temperature of a repetition at least: at 0 the same answer would come again."""


class ChatError(ValueError):
    """A chat that could not be completed."""


class RefusedChatError(ChatError):
    """A failure that a further request would not change: someone has to act first."""


class SamplingOptions(BaseModel):
    """How the tokens of an answer are drawn.

    Parameters
    ----------
    temperature
        0: the most likely token.
    top_p
        Tokens are drawn from the most likely ones, which have this probability together.
    seed
        Of the draw.
    max_output_tokens
        An answer is cut after so many.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(0.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    seed: int = Field(0, ge=0, lt=SEEDS)
    max_output_tokens: int = Field(512, ge=1)


@dataclass(frozen=True)
class PromptVersion:
    """Which prompt a chat was made from.

    Parameters
    ----------
    id, version
        As the prompt's file states them.
    sha256
        Of that file.
    """

    id: str
    version: int
    sha256: str


@dataclass(frozen=True)
class Chat:
    """A question to a language model.

    Parameters
    ----------
    user, system
        Texts of the two roles.
    sampling
        How the answer is drawn.
    answer_format
        Which form it must have.
    prompt
        Which prompt the texts were made from, if any.
    """

    user: str
    system: str = ""
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    answer_format: AnswerFormat = field(default_factory=AnswerFormat)
    prompt: PromptVersion | None = None

    @property
    def address(self) -> str:
        """SHA-256 of everything that decides the answer, but the model."""
        return sha256_of(self.fields())

    def repetition(self, number: int) -> Chat:
        """The same question once more, drawn anew; itself for number 0."""
        if number == 0:
            return self
        drawn = {
            "seed": (self.sampling.seed + number * SEED_STEP) % SEEDS,
            "temperature": max(self.sampling.temperature, WARMER),
        }
        return replace(self, sampling=self.sampling.model_copy(update=drawn))

    def fields(self) -> dict[str, Any]:
        """Itself as JSON values; see `of`."""
        return {
            "user": self.user,
            "system": self.system,
            "sampling": self.sampling.model_dump(),
            "answer_format": asdict(self.answer_format),
            "prompt": asdict(self.prompt) if self.prompt else None,
        }

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Chat:
        """The chat of JSON values that `fields` returned."""
        prompt = fields["prompt"]
        return cls(
            user=fields["user"],
            system=fields["system"],
            sampling=SamplingOptions(**fields["sampling"]),
            answer_format=AnswerFormat(**fields["answer_format"]),
            prompt=PromptVersion(**prompt) if prompt else None,
        )


@dataclass(frozen=True)
class Reply:
    """What a model replied to one request.

    Parameters
    ----------
    text
        Its answer; empty if it declined.
    declined
        Why the model, or a filter of its service, gives no answer; empty if it does.
    finish_reason
        As the service states it: ``length`` if the answer was cut.
    model
        Name that the service answered under.
    input_tokens, output_tokens
        As charged, or estimated where the service did not say.
    """

    text: str
    declined: str
    finish_reason: str
    model: str
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class ChatOutcome:
    """What came of a chat.

    Parameters
    ----------
    chat
        The chat.
    text
        An answer in the form that was required; None if there is none.
    reason
        Why there is none; empty if there is one.
    faults
        What was wrong with replies before it.
    reply
        The last reply.
    """

    chat: Chat
    text: str | None
    reason: str
    faults: tuple[str, ...]
    reply: Reply

    @property
    def parsed(self) -> Any:
        """The answer as JSON values. Raises `ChatError` if there is none, or it has no schema."""
        if self.text is None or self.chat.answer_format.schema is None:
            raise ChatError(self.reason or "the chat has no JSON schema: read its text")
        return self.chat.answer_format.parse(self.text)
