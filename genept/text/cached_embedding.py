"""Which genes of a space are embedded, and vectors of texts out of the cache or made for it.

Of missing vectors each batch is stored before the next is started. An embedder may be so slow that
minutes decide how many genes it embeds. They are turned into tokens by a declared speed, never by a
clock: the same declaration and setting choose the same genes on every machine.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import polars as pl

from genept.common import console, progress_bar
from genept.text.embedders import TextEmbedder
from genept.text.hosted import Budget, SpendingLimit
from genept.text.metered import MeteredEmbedder, Runner, plain_loop
from genept.text.vector_cache import VectorCache

BATCH = 1024
"""Texts a batch of a local model: seconds of work."""
SEED: Final = "genes-in-time-1"


@runtime_checkable
class SlowEmbedder(TextEmbedder, Protocol):
    """A text embedder that embeds as many genes of a space as a number of tokens allows."""

    tokens_per_space: int
    """Most tokens of one space's descriptions, as the descriptions count them."""

    texts_at_once: int
    """Texts whose vectors are stored before the next are embedded."""


def genes_in_time(rows: pl.DataFrame, embedder: TextEmbedder) -> pl.DataFrame:
    """Return the genes that an embedder has the time to embed.

    Parameters
    ----------
    rows
        Of table `gene_descriptions`: columns `ensembl_gene_id` and `n_tokens`.
    embedder
        The embedder.

    Returns
    -------
    pl.DataFrame
        All rows, unless it is a `SlowEmbedder`; of it the first genes of an order that depends on
        their ids alone, as many as its tokens allow, in the order given. More tokens add genes
        and replace none.
    """
    if not isinstance(embedder, SlowEmbedder):
        return rows
    places = [
        hashlib.sha256(f"{SEED}:{gene}".encode()).hexdigest() for gene in rows["ensembl_gene_id"]
    ]
    numbered = rows.select("n_tokens", place=pl.Series(places, dtype=pl.String)).with_row_index()
    spent = numbered.sort("place").with_columns(spent=pl.col("n_tokens").cum_sum())
    first = spent.filter(pl.col("spent") <= embedder.tokens_per_space)["index"].sort()
    return rows[first.to_list()]


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
