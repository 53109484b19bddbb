"""Requests to a hosted service and its answers: which texts have a valid vector, and why not.

Texts are packed into requests that the service accepts; failures are sorted into those that a
retry may solve and those that someone must fix.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import SecretStr

from genept.text.composition import text_sha256
from genept.text.embedders import EmbeddingError, RefusedEmbeddingError, fault_of
from genept.text.hosted.hosted_models import HostedModel

SHOWN: Final = 3


class UnreadableAnswerError(EmbeddingError):
    """A successful status with a body that is not JSON: cut short, or another server."""


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


def read_answer(
    body: dict[str, Any], n_texts: int, declared: HostedModel
) -> tuple[dict[int, npt.NDArray[np.float32]], dict[int, str]]:
    """Good vectors of an answer, and its faults, by position in the request.

    Raises `RefusedEmbeddingError` if it comes from another model or has another dimension: asking
    again is in vain.
    """
    good: dict[int, npt.NDArray[np.float32]] = {}
    faults: dict[int, str] = {}
    if (model := body.get("model")) not in declared.answers_as:
        raise RefusedEmbeddingError(
            f"{declared.id}: requested the model {declared.model!r}, answered by {model!r}; if "
            "that is its name for these weights, declare it under `echoes`; otherwise correct the "
            "service"
        )
    rows = body.get("data")
    rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    times = Counter(row["index"] for row in rows if type(row.get("index")) is int)
    for row in rows:
        index = row.get("index")
        if type(index) is not int or not 0 <= index < n_texts:
            continue  # the text whose place it took has no answer, and is requested again
        if times[index] > 1:
            faults[index] = f"was answered {times[index]} times"
            continue
        vector = _vector(row.get("embedding"))
        if vector is None:
            faults[index] = "was answered without a vector of numbers"
        elif len(vector) != declared.dimensions:
            raise RefusedEmbeddingError(
                f"{declared.id}: expected vectors of {declared.dimensions} dimensions, got "
                f"{len(vector)}: correct `dimensions` in its declaration, or the service"
            )
        elif fault := fault_of(vector, unit_norm=declared.unit_norm):
            faults[index] = f"has a vector that {fault}"
        else:
            good[index] = vector
    for index in set(range(n_texts)) - set(good) - set(faults):
        faults[index] = "was not answered"
    return good, faults


def named(texts: list[tuple[str, str]]) -> str:
    """Texts and what is wrong with each, recognisable to the person who must look them up."""
    listed = [f"text {text_sha256(text)[:16]}… ({text[:60]!r}) {why}" for text, why in texts]
    more = f"; and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return "; ".join(listed[:SHOWN]) + more


def charged_tokens(body: dict[str, Any]) -> int | None:
    """What the service says it charged for; none if it does not say."""
    usage = body.get("usage")
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return tokens if type(tokens) is int and tokens >= 0 else None


def _vector(value: Any) -> npt.NDArray[np.float32] | None:
    """A vector as float32, from base64 or from a list; none if it is neither."""
    try:
        if isinstance(value, str):
            return np.frombuffer(base64.b64decode(value, validate=True), dtype="<f4")
        if isinstance(value, list) and all(type(number) in (int, float) for number in value):
            with np.errstate(over="ignore"):
                return np.array(value, dtype=np.float32)
    except (binascii.Error, ValueError, OverflowError):
        return None
    return None


def packed_requests(
    texts: Sequence[str], n_tokens: Sequence[int], model: HostedModel, *, is_exact: bool
) -> list[list[str]]:
    """Requests of consecutive texts, none above the model's tokens and texts per request.

    A text that by estimate may be too long gets a request of its own: if the service refuses
    it, it refuses that text alone.

    Raises
    ------
    RefusedEmbeddingError
        If a text is empty, or surely longer than the model reads.
    """
    if blank := [(text, "is empty") for text in texts if not text.strip()]:
        raise RefusedEmbeddingError(f"{named(blank)}: leave it out and account for it")
    sized = list(zip(texts, n_tokens, strict=True))
    too_long = [
        (text, f"has {tokens:,} tokens, {model.id} reads {model.max_tokens:,}")
        for text, tokens in sized
        if tokens > model.max_tokens
    ]
    if too_long and is_exact:
        raise RefusedEmbeddingError(f"{named(too_long)}: give its recipe a smaller token budget")
    fitting = [(text, tokens) for text, tokens in sized if tokens <= model.max_tokens]
    packs = _packed(fitting, model.request_tokens, model.request_texts)
    return packs + [[text] for text, _ in too_long]


JOB_TEXTS: Final = 50_000
JOB_BYTES: Final = 150_000_000
"""Largest number of bytes of texts in one batch file; the file may have 200 MB, with an envelope
around each text."""


def packed_jobs(texts: Sequence[str]) -> list[list[str]]:
    """Split texts into batches that the service accepts.

    Parameters
    ----------
    texts
        Texts to embed.

    Returns
    -------
    list of list of str
        At most `JOB_TEXTS` texts and `JOB_BYTES` bytes of UTF-8 each, in the order of `texts`.
    """
    return _packed([(text, len(text.encode())) for text in texts], JOB_BYTES, JOB_TEXTS)


def _packed(sized: Iterable[tuple[str, int]], capacity: int, most: int) -> list[list[str]]:
    """Texts, each with its size, in packs of at most `most` texts and `capacity` in all."""
    packs: list[list[str]] = []
    left = 0
    for text, size in sized:
        if not packs or size > left or len(packs[-1]) >= most:
            packs.append([])
            left = capacity
        packs[-1].append(text)
        left -= size
    return packs


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


def explained(
    error: Exception, embedder: str, service: str, key: SecretStr, texts: Sequence[str] = ()
) -> EmbeddingError:
    """The failure in words that say what to do, without the key that a service may echo."""
    import openai

    passing = is_passing(error)
    message = str(error).replace(key.get_secret_value() or "\0", "[key]")[:600]
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
    message = f"{embedder}: {service} failed: {message}"
    return EmbeddingError(message) if passing else RefusedEmbeddingError(message)


def _has_no_money(error: object) -> bool:
    return bool({getattr(error, "code", None), getattr(error, "type", None)} & set(NO_MONEY))
