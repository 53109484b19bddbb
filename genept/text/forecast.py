"""What embedding texts would cost, before any of it is paid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from genept.text.cache import VectorCache
from genept.text.embedder import MeteredEmbedder, TextEmbedder
from genept.text.receipts import MILLION


@dataclass(frozen=True)
class Forecast:
    """Cost of the texts that have no vector yet; `basis` says how tokens were counted."""

    embedder: str
    n_texts: int
    n_new: int
    tokens: int
    dollars: float
    basis: str


def forecast(
    embedder: TextEmbedder, cache: VectorCache, texts: Sequence[str], *, price: float = 1.0
) -> Forecast:
    """What `texts` would cost now, without asking anybody.

    Parameters
    ----------
    price
        Share of the full price: that of the Batch API is the declaration's `batch_price`.
    """
    new = cache.missing(texts)
    if not isinstance(embedder, MeteredEmbedder):
        basis = "runs on this machine: costs nothing, tokens are not counted"
        return Forecast(embedder.id, len(set(texts)), len(new), 0, 0.0, basis)
    tokens = sum(embedder.count_tokens(new))
    dollars = tokens * embedder.dollars_per_million_tokens * price / MILLION
    return Forecast(embedder.id, len(set(texts)), len(new), tokens, dollars, embedder.counted_by)
