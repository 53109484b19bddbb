"""Vectors of texts out of the cache; those that it lacks are embedded, batch by batch.

Each batch is stored before the next is started.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from genept.common import console, progress_bar
from genept.text.embedders import TextEmbedder
from genept.text.hosted import Budget, SpendingLimit
from genept.text.metered import MeteredEmbedder, Runner, plain_loop
from genept.text.time_limit import SlowEmbedder
from genept.text.vector_cache import VectorCache

BATCH = 1024
"""Texts a batch of a local model: seconds of work."""


def embed_through_cache(
    embedder: TextEmbedder,
    cache: VectorCache,
    texts: Sequence[str],
    runner: Runner = plain_loop,
    spending_limit: SpendingLimit | None = None,
) -> npt.NDArray[np.float32]:
    """Return vectors of texts; only texts without a cached vector are embedded.

    Parameters
    ----------
    embedder
        The embedder.
    cache
        Its cache.
    texts
        Texts; may repeat.
    runner
        Runs the batches.
    spending_limit
        What a metered embedder may cost; None: no limit.

    Returns
    -------
    ndarray of float32
        Texts × dimensions, in order, scaled to unit length.

    Raises
    ------
    EmbeddingError
        A text could not be embedded, or is in a batch under way (`PendingBatchesError`); what was
        embedded is kept.
    """
    missing = sorted(cache.missing(texts), key=len)  # alike lengths pad little
    if missing:
        with progress_bar(f"embedding: {embedder.id}", len(missing)) as advance:
            if isinstance(embedder, MeteredEmbedder):
                run_id = f"run-{secrets.token_hex(8)}"
                limit = spending_limit or SpendingLimit()
                with Budget(embedder, cache, limit, run_id, console.print) as budget:
                    budget.pay_all(missing, runner, advance)
            else:

                def embed_batch(batch: Sequence[str]) -> None:
                    if todo := cache.missing(batch):  # one that is tried again may be done already
                        cache.add(todo, embedder.embed(todo))
                    advance(len(batch))

                size = embedder.texts_at_once if isinstance(embedder, SlowEmbedder) else BATCH
                batches = [missing[at : at + size] for at in range(0, len(missing), size)]
                runner(batches, embed_batch, 1)
        cache.compact()
    vectors = cache.vectors(texts)
    if not embedder.unit_norm:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors
