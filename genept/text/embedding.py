"""The durable loop: embed what is missing, batch by batch, each kept before the next.

What a batch is and what happens to it is decided here; who runs the batches, and
how often one is tried again, is up to the `runner` (a plain loop, or the Prefect
flow in `orchestration`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from genept.console import progress_bar
from genept.text.cache import VectorCache
from genept.text.embedder import TextEmbedder

BATCH = 1024
"""Texts a batch: under what hosted services accept, and seconds of work for a local model."""

EmbedBatch = Callable[[Sequence[str]], None]
Runner = Callable[[Sequence[Sequence[str]], EmbedBatch], None]
"""Has every batch embedded by the function it is given; raises if one cannot be."""


def plain_loop(batches: Sequence[Sequence[str]], embed_batch: EmbedBatch) -> None:
    """The simplest runner: one after the other, in this process."""
    for batch in batches:
        embed_batch(batch)


def embed_through_cache(
    embedder: TextEmbedder, cache: VectorCache, texts: Sequence[str], runner: Runner = plain_loop
) -> npt.NDArray[np.float32]:
    """Vectors of texts; only texts never seen before are given to the embedder.

    Returns
    -------
    ndarray of float32
        texts × dimensions, in the order of `texts`.
    """
    missing = sorted(cache.missing(texts), key=len)  # alike lengths pad little
    if missing:
        batches = [missing[start : start + BATCH] for start in range(0, len(missing), BATCH)]
        with progress_bar(f"embedding: {embedder.id}", len(missing)) as advance:

            def embed_batch(batch: Sequence[str]) -> None:
                todo = cache.missing(batch)  # a batch that is tried again may be done already
                if todo:
                    cache.add(todo, embedder.embed(todo))
                advance(len(batch))

            runner(batches, embed_batch)
    return cache.vectors(texts)
