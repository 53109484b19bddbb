"""Why a hosted service did not answer: what passes by itself, and what somebody must mend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import SecretStr

from genept.text.answers import UnreadableAnswerError, named
from genept.text.embedder import EmbeddingError, RefusedEmbeddingError

NO_MONEY: Final = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
"""Codes that a service sends under 429 and that waiting does not mend."""

PASSING: Final = (408, 409, 429)
REMEDIES: Final = {
    401: "the key is not accepted: check GENEPT_OPENAI_API_KEY",
    403: "the key may not use this model: check its project and permissions",
    404: "the service does not know the model or the address: check `model` in the declaration "
    "and GENEPT_OPENAI_BASE_URL",
    413: "the request is too large: lower `request_tokens` or `request_texts` in the declaration",
    429: "it is asked too much: lower `tokens_per_minute` in the declaration, or run again later",
}


def is_passing(error: BaseException) -> bool:
    """Whether the same request may well succeed in a while."""
    import openai

    if isinstance(error, openai.APIStatusError):
        status = error.status_code
        return (status in PASSING or status >= 500) and not _has_no_money(error)
    return isinstance(error, openai.APIConnectionError | UnreadableAnswerError)


def was_sent(error: BaseException) -> bool:
    """Whether the service may have done the work, and charged for it, before it failed."""
    import httpx2

    return not isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)


def explained(
    error: Exception, embedder: str, service: str, key: SecretStr, texts: Sequence[str] = ()
) -> EmbeddingError:
    """The failure, said to the person who must act, without the key that a service may echo."""
    import openai

    passing = is_passing(error)
    said = str(error).replace(key.get_secret_value() or "\0", "[key]")[:600]
    if isinstance(error, openai.APIStatusError):
        if _has_no_money(error):
            said += "; the account has no money left: top it up, then run again"
        elif error.status_code in REMEDIES:
            said += f"; {REMEDIES[error.status_code]}"
        elif not passing and texts:
            longest = max(texts, key=len)
            said += f"; of {len(texts)} texts the longest: " + named([(longest, "was asked for")])
    elif isinstance(error, openai.APIConnectionError):
        said += f" ({type(error.__cause__ or error).__name__}); check the network and the address"
    message = f"{embedder}: {service} failed: {said}"
    return EmbeddingError(message) if passing else RefusedEmbeddingError(message)


def _has_no_money(error: object) -> bool:
    return bool({getattr(error, "code", None), getattr(error, "type", None)} & set(NO_MONEY))
