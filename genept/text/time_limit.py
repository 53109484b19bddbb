"""Embedders so slow that minutes decide how many genes they embed, and which genes those are.

Minutes are turned into tokens by a declared speed, never by a clock: the same declaration and
setting choose the same genes on every machine.
"""

from __future__ import annotations

import hashlib
from typing import Final, Protocol, runtime_checkable

import polars as pl

from genept.text.embedders import TextEmbedder

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
