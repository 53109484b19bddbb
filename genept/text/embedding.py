"""The durable loop: embed what is missing, batch by batch, each kept before the next.

What a batch is and what happens to it is decided here; who runs the batches, and
how often one is tried again, is up to the `runner` (a plain loop, or the Prefect
flow in `orchestration`). What a hosted service is paid is in `genept.text.till`.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from genept.console import console, progress_bar
from genept.text.batch_jobs import packed_jobs
from genept.text.cache import VectorCache
from genept.text.embedder import MeteredEmbedder, TextEmbedder
from genept.text.till import Purse, Till

BATCH = 1024
"""Texts a batch of a local model: seconds of work."""

EmbedBatch = Callable[[Sequence[str]], None]
Runner = Callable[[Sequence[Sequence[str]], EmbedBatch, int, threading.Event], None]
"""Has every batch embedded by the function it is given, so many at once at the most.

Raises if one cannot be; a `RefusedEmbeddingError` is not worth trying again. When it is
interrupted, it sets the event before it waits for its threads: they then wait for no batch of a
service.
"""


def plain_loop(
    batches: Sequence[Sequence[str]],
    embed_batch: EmbedBatch,
    _at_once: int,
    _interrupted: threading.Event,
) -> None:
    """The simplest runner: one batch after the other, in this thread."""
    for batch in batches:
        embed_batch(batch)


def embed_through_cache(
    embedder: TextEmbedder,
    cache: VectorCache,
    texts: Sequence[str],
    runner: Runner = plain_loop,
    purse: Purse | None = None,
) -> npt.NDArray[np.float32]:
    """Vectors of texts; only texts never seen before are given to the embedder.

    Parameters
    ----------
    purse
        What a metered embedder may cost.

    Returns
    -------
    ndarray of float32
        texts × dimensions, in the order of `texts`; scaled to unit length.
    """
    missing = sorted(cache.missing(texts), key=len)  # alike lengths pad little
    if missing:
        with progress_bar(f"embedding: {embedder.id}", len(missing)) as advance:
            if isinstance(embedder, MeteredEmbedder):
                _pay_for(embedder, cache, missing, runner, purse or Purse(), advance)
            else:
                _embed_here(embedder, cache, missing, runner, advance)
        cache.compact()
    vectors = cache.vectors(texts)
    if not embedder.unit_norm:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _embed_here(
    embedder: TextEmbedder,
    cache: VectorCache,
    missing: Sequence[str],
    runner: Runner,
    advance: Callable[[float], None],
) -> None:
    def embed_batch(batch: Sequence[str]) -> None:
        todo = cache.missing(batch)  # a batch that is tried again may be done already
        if todo:
            cache.add(todo, embedder.embed(todo))
        advance(len(batch))

    batches = [missing[at : at + BATCH] for at in range(0, len(missing), BATCH)]
    runner(batches, embed_batch, 1, threading.Event())


def _pay_for(
    embedder: MeteredEmbedder,
    cache: VectorCache,
    missing: Sequence[str],
    runner: Runner,
    purse: Purse,
    advance: Callable[[float], None],
) -> None:
    requests = embedder.pack(missing)
    if purse.batch_api:
        requests = packed_jobs([text for request in requests for text in request])
    interrupted = threading.Event()
    run_id = f"run-{secrets.token_hex(8)}"
    with Till(embedder, cache, purse, run_id, interrupted, console.print) as till:

        def embed_batch(batch: Sequence[str]) -> None:
            till.pay(batch)
            advance(len(batch))

        runner(requests, embed_batch, embedder.at_once, interrupted)
