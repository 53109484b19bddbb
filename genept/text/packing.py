"""Texts packed into the requests that a hosted service accepts."""

from __future__ import annotations

from collections.abc import Sequence

from genept.text.answers import named
from genept.text.embedder import RefusedEmbeddingError
from genept.text.hosted import HostedModel


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
    requests: list[list[str]] = []
    alone: list[list[str]] = []
    too_long: list[tuple[str, str]] = []
    room = 0
    for text, tokens in zip(texts, n_tokens, strict=True):
        if tokens > model.max_tokens:
            too_long.append((text, f"has {tokens:,} tokens, {model.id} reads {model.max_tokens:,}"))
            alone.append([text])
        elif requests and tokens <= room and len(requests[-1]) < model.request_texts:
            requests[-1].append(text)
            room -= tokens
        else:
            requests.append([text])
            room = model.request_tokens - tokens
    if too_long and is_exact:
        raise RefusedEmbeddingError(f"{named(too_long)}: give its recipe a smaller token budget")
    return requests + alone
