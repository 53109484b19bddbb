"""What a service said, read with suspicion: which texts have a good vector, which have none.

The OpenAI client validates nothing of this. Asking again is up to
`genept.text.openai_embedder`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genept.text.cache import text_sha256
from genept.text.embedder import EmbeddingError, RefusedEmbeddingError, fault_of
from genept.text.hosted import HostedModel

SHOWN: Final = 3


class UnreadableAnswerError(EmbeddingError):
    """A success by its status, but no JSON: cut short, or another server's page."""


@dataclass
class ReadAnswer:
    """An answer's good vectors and its faults, by position in the request."""

    good: dict[int, npt.NDArray[np.float32]] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)


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


def read_answer(body: dict[str, Any], n_texts: int, declared: HostedModel) -> ReadAnswer:
    """Sort the rows of an answer into good vectors and faults.

    Raises
    ------
    RefusedEmbeddingError
        If it comes from another model or has another dimension: asking again is in vain.
    """
    answer = ReadAnswer()
    if (model := body.get("model")) not in declared.answers_as:
        raise RefusedEmbeddingError(
            f"{declared.id}: asked for the model {declared.model!r}, answered by {model!r}; if "
            "that is its name for these weights, declare it under `echoes`, else mend the service"
        )
    rows = body.get("data")
    rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    times = Counter(row["index"] for row in rows if type(row.get("index")) is int)
    for row in rows:
        index = row.get("index")
        if type(index) is not int or not 0 <= index < n_texts:
            continue  # whose place it took is missing, and asked for again
        if times[index] > 1:
            answer.faults[index] = f"was answered {times[index]} times"
            continue
        vector = _vector(row.get("embedding"))
        if vector is None:
            answer.faults[index] = "was answered without a vector of numbers"
        elif len(vector) != declared.dimensions:
            raise RefusedEmbeddingError(
                f"{declared.id}: expected vectors of {declared.dimensions} dimensions, got "
                f"{len(vector)}: mend `dimensions` in its declaration, or the service"
            )
        elif fault := fault_of(vector, unit_norm=declared.unit_norm):
            answer.faults[index] = f"has a vector that {fault}"
        else:
            answer.good[index] = vector
    for index in set(range(n_texts)) - set(answer.good) - set(answer.faults):
        answer.faults[index] = "was not answered"
    return answer


def named(texts: list[tuple[str, str]]) -> str:
    """Texts and what is wrong with them, recognisable to who must look them up."""
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
        if isinstance(value, list) and all(type(one) in (int, float) for one in value):
            with np.errstate(over="ignore"):
                return np.array(value, dtype=np.float32)
    except (binascii.Error, ValueError, OverflowError):
        return None
    return None
