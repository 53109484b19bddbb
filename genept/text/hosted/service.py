"""A service behind OpenAI's protocol: its client, retries, and failures in words.

Failures are sorted into those that a retry may solve and those that someone must fix. What is
requested, and what its answers mean, is `genept.text.hosted.openai` for embedders and
`genept.language_models` for chats.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from pydantic import SecretStr
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from genept.common import is_loopback
from genept.text.composition import text_sha256
from genept.text.metered import RateLimits

if TYPE_CHECKING:
    from openai import OpenAI

T = TypeVar("T")
OPENAI_URL: Final = "https://api.openai.com/v1"
SHOWN: Final = 3

ROUNDS: Final = 3
"""How often what has no valid answer is requested in all."""

NO_MONEY: Final = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
"""Codes that a service sends with status 429 and that waiting does not resolve."""

PASSING: Final = (408, 409, 429)

REMEDIES: Final = {
    401: "the key is not accepted: check GENEPT_OPENAI_API_KEY",
    403: "the key may not use this model: check its project and permissions",
    404: "the service does not know the model or the address: check `model` in the declaration "
    "and GENEPT_OPENAI_BASE_URL",
    413: "the request is too large: lower `request_tokens` or `request_texts` in the declaration",
    429: "it receives too many requests: lower `tokens_per_minute` in the declaration, or run "
    "again later",
}


class UnreadableAnswerError(ValueError):
    """A successful status with a body that is not JSON: cut short, or another server."""


@dataclass(frozen=True)
class RequestPolicy:
    """How long to wait for a service, in seconds, and how often to try.

    Parameters
    ----------
    connect, read
        For a connection, and for an answer.
    attempts
        In all.
    first_wait, longest_wait
        Between two attempts.
    """

    connect: float = 10.0
    read: float = 60.0
    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 60.0


@dataclass
class RequestCount:
    """What requests have taken so far.

    Parameters
    ----------
    answered, unanswered
        Requests with an answer, and those without a complete one.
    tokens
        Of input; None once an answer did not say.
    limits
        What the service allows, by its last answer.
    """

    answered: int = 0
    unanswered: int = 0
    tokens: int | None = 0
    limits: RateLimits | None = None

    def answer(self, tokens: int | None) -> None:
        """Count an answer that was charged so many tokens."""
        self.answered += 1
        self.tokens = None if tokens is None or self.tokens is None else self.tokens + tokens


class OpenAIService:
    """A service, for one of its models. No connection is opened before the first request.

    Parameters
    ----------
    id_
        Of the model, for messages.
    api_key
        Never logged.
    base_url
        Its address; None: OpenAI's.
    retry_policy
        Waits and attempts; None: the defaults.
    """

    failed: ClassVar[type[ValueError]] = ValueError
    """Raised when a retry may succeed."""

    refused: ClassVar[type[ValueError]] = ValueError
    """Raised when someone has to act first."""

    dollars_per_million_tokens: float
    """Price of input."""

    def __init__(
        self,
        id_: str,
        api_key: SecretStr,
        base_url: str | None = None,
        retry_policy: RequestPolicy | None = None,
    ) -> None:
        self.id, self.api_key = id_, api_key
        self.base_url = (base_url or OPENAI_URL).rstrip("/")
        self.retry_policy = retry_policy or RequestPolicy()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r} at {self.base_url})"

    @cached_property
    def client(self) -> OpenAI:
        """OpenAI's client: one attempt per call, and no proxy to the machine itself."""
        import httpx2
        from openai import DefaultHttpx2Client, OpenAI

        timeout = httpx2.Timeout(self.retry_policy.read, connect=self.retry_policy.connect)
        return OpenAI(
            api_key=self.api_key.get_secret_value(),
            base_url=self.base_url,
            timeout=timeout,
            max_retries=0,
            http_client=DefaultHttpx2Client(
                timeout=timeout, trust_env=not is_loopback(self.base_url)
            ),
        )

    def call(self, request: Callable[..., T], *arguments: Any, texts: Sequence[str] = ()) -> T:
        """Send a request, again after failures that pass. Raises `failed` or `refused`."""
        import openai

        policy = Retrying(
            retry=retry_if_exception(is_passing),
            stop=stop_after_attempt(self.retry_policy.attempts),
            wait=self.pause,
            reraise=True,
        )
        try:
            return policy(request, *arguments)
        except (UnreadableAnswerError, openai.OpenAIError) as error:
            failure = self._explained(error, texts)
        raise failure  # not above: its context would be the error that may hold the key

    def post(self, create: Callable[[], Any], count: RequestCount) -> dict[str, Any]:
        """The JSON object that a raw request of the client is answered with, once."""
        import openai

        try:
            answer = create().http_response
            count.limits = RateLimits.stated(answer.headers)
            return parse_body(answer.content, answer.headers.get("content-type", ""))
        except (openai.APIConnectionError, UnreadableAnswerError) as error:
            count.unanswered += was_sent(error)
            raise

    def pause(self, state: RetryCallState) -> float:
        """Seconds to wait: as the service says, within limits; else doubling each time."""
        chance = wait_random_exponential(
            self.retry_policy.first_wait, self.retry_policy.longest_wait
        )
        error = state.outcome.exception() if state.outcome else None
        headers: Mapping[str, str] = getattr(getattr(error, "response", None), "headers", {})
        try:
            asked_for = max(0.0, float(headers.get("retry-after", 0)))
        except ValueError:
            asked_for = 0.0
        return min(max(asked_for, chance(state)), self.retry_policy.longest_wait)

    def _explained(self, error: Exception, texts: Sequence[str]) -> ValueError:
        """The failure in words that say what to do, without the key that a service may echo."""
        import openai

        passing = is_passing(error)
        message = str(error).replace(self.api_key.get_secret_value() or "\0", "[key]")[:600]
        if isinstance(error, openai.APIStatusError):
            if _has_no_money(error):
                message += "; the account has no money left: top it up, then run again"
            elif error.status_code in REMEDIES:
                message += f"; {REMEDIES[error.status_code]}"
            elif not passing and texts:
                longest = max(texts, key=len)
                message += f"; of {len(texts)} texts the longest: " + named(
                    [(longest, "was requested")]
                )
        elif isinstance(error, openai.APIConnectionError):
            message += (
                f" ({type(error.__cause__ or error).__name__}); check the network and the address"
            )
        message = f"{self.id}: {self.base_url} failed: {message}"
        return self.failed(message) if passing else self.refused(message)


def parse_body(body: bytes, content_type: str) -> dict[str, Any]:
    """The JSON object of an answer. Raises `UnreadableAnswerError` if it is none."""
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise UnreadableAnswerError(
            f"the service answered {len(body)} bytes of {content_type or 'no stated type'} that "
            f"are not whole JSON ({error}); it begins {body[:60]!r}: is GENEPT_OPENAI_BASE_URL "
            "the address of the service?"
        ) from None
    if not isinstance(parsed, dict):
        raise UnreadableAnswerError(f"the service answered JSON that is no object: {body[:60]!r}")
    return parsed


def named(texts: list[tuple[str, str]]) -> str:
    """Texts and what is wrong with each, recognisable to the person who must look them up."""
    listed = [f"text {text_sha256(text)[:16]}… ({text[:60]!r}) {why}" for text, why in texts]
    more = f"; and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return "; ".join(listed[:SHOWN]) + more


def stated_usage(body: Mapping[str, Any], what: str) -> int | None:
    """What the service says it charged for; None if it does not say.

    Parameters
    ----------
    body
        Of its answer.
    what
        ``prompt_tokens`` or ``completion_tokens``.

    Returns
    -------
    int or None
        Tokens.
    """
    usage = body.get("usage")
    tokens = usage.get(what) if isinstance(usage, dict) else None
    return tokens if type(tokens) is int and tokens >= 0 else None


def is_passing(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    import openai

    if isinstance(error, openai.APIStatusError):
        status = error.status_code
        return (status in PASSING or status >= 500) and not _has_no_money(error)
    return isinstance(error, openai.APIConnectionError | UnreadableAnswerError)


def was_sent(error: BaseException) -> bool:
    """Whether the service may have done the work, and charged for it, before it failed."""
    import httpx2

    return not isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)


def _has_no_money(error: object) -> bool:
    return bool({getattr(error, "code", None), getattr(error, "type", None)} & set(NO_MONEY))
