"""Requests to a hosted embedder and its answers: which texts have a valid vector, and why not.

Texts are packed into requests that the service accepts. What is sent and what fails is
`genept.text.hosted.service`.
"""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from genept.text.embedders import RefusedEmbeddingError, fault_of
from genept.text.hosted.hosted_models import HostedModel
from genept.text.hosted.service import named

Item = TypeVar("Item")


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


def packed_jobs(sized: Iterable[tuple[Item, int]]) -> list[list[Item]]:
    """Split texts or chats into batches that the service accepts.

    Parameters
    ----------
    sized
        What is asked, each with its size in bytes.

    Returns
    -------
    list of list
        At most `JOB_TEXTS` and `JOB_BYTES` bytes each, in the order given.
    """
    return _packed(sized, JOB_BYTES, JOB_TEXTS)


def _packed(sized: Iterable[tuple[Item, int]], capacity: int, most: int) -> list[list[Item]]:
    """Items, each with its size, in packs of at most `most` items and `capacity` in all."""
    packs: list[list[Item]] = []
    left = 0
    for item, size in sized:
        if not packs or size > left or len(packs[-1]) >= most:
            packs.append([])
            left = capacity
        packs[-1].append(item)
        left -= size
    return packs
