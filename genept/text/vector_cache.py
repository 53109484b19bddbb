"""The vector cache: vectors of texts that were embedded before, content-addressed in the store.

What was paid for vectors is one object with them, written at once, so no vector is kept without its
payment. Also a forecast of what embedding texts costs. What may be spent is
`genept.text.hosted.budget`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from genept.storage import ObjectStore, ShardCache, sha256_of
from genept.text.composition import text_sha256
from genept.text.embedders import TextEmbedder, embedding_column, validate_vectors
from genept.text.metered import MeteredEmbedder, Priced

MILLION: Final = 1_000_000

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Payment:
    """One payment: a request or a batch, with its retries.

    Parameters
    ----------
    receipt_id
        Its id; of a batch, that of the batch.
    embedder
        Id of the embedder or language model.
    paid_at
        Time in UTC.
    run_id
        Of the run that paid.
    mode
        How it was requested.
    n_texts
        Texts or chats that were answered.
    n_requests
        Requests that were answered.
    n_unanswered
        Requests without a complete answer: the service may have charged for them, which only its
        invoice shows.
    tokens
        Of input.
    tokens_from
        Whether the service reported the tokens.
    dollars
        At the declared price.
    output_tokens
        That a language model wrote.
    """

    receipt_id: str
    embedder: str
    paid_at: str
    run_id: str
    mode: Literal["request", "batch"]
    n_texts: int
    n_requests: int
    n_unanswered: int
    tokens: int
    tokens_from: Literal["usage", "estimate"]
    dollars: float
    output_tokens: int = 0

    @classmethod
    def made(
        cls,
        model: Priced,
        usage: int | None,
        estimate: int,
        price: float = 1.0,
        *,
        output_tokens: int = 0,
        output_price: float = 0.0,
        **request: Any,
    ) -> Payment:
        """A payment made now, by the tokens that were charged, else by our estimate.

        `price` is the share of the full price of input that is paid; `output_price` are US$ per
        million tokens of output.
        """
        tokens = estimate if usage is None else usage
        input_price = model.dollars_per_million_tokens * price
        return cls(
            embedder=model.id,
            paid_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            tokens=tokens,
            tokens_from="estimate" if usage is None else "usage",
            dollars=(tokens * input_price + output_tokens * output_price) / MILLION,
            output_tokens=output_tokens,
            **request,
        )

    def note(self) -> dict[str, Any]:
        """Itself as a note of a shard; earlier versions read that of an embedder."""
        fields = asdict(self)
        if not self.output_tokens:
            del fields["output_tokens"]
        return fields


class VectorCache(ShardCache[Vectors]):
    """The vectors of one embedder, by the SHA-256 of texts.

    If two processes embed the same text, each keeps a valid vector of it; that metered texts are
    paid for once is the task of `genept.text.hosted.budget`.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.
    embedder
        Its id, identity and dimensions name the folder of its vectors.
    """

    def __init__(self, store: ObjectStore, product: str, embedder: TextEmbedder) -> None:
        self.product = product
        self.dimensions, self.unit_norm = embedder.dimensions, embedder.unit_norm
        space = sha256_of(embedder.id, embedder.identity, embedder.dimensions)
        super().__init__(store, f"{product}/cache/vectors/{embedder.id}/{space[:16]}/")

    def missing(self, texts: Sequence[str]) -> list[str]:
        """Return the distinct texts that have no vector yet, in the order given."""
        known = self.known()
        return [text for text in dict.fromkeys(texts) if text_sha256(text) not in known]

    def add(self, texts: Sequence[str], vectors: Vectors) -> None:
        """Store the vectors of texts that cost nothing.

        Raises `EmbeddingError` if a vector is not finite, of the wrong dimension or not of the
        promised length.
        """
        self.add_addressed([text_sha256(text) for text in texts], vectors)

    def add_addressed(
        self, addresses: Sequence[str], vectors: Vectors, payment: Payment | None = None
    ) -> None:
        """Store vectors of texts, named by their SHA-256, and what they cost; see `add`."""
        validate_vectors(vectors, len(addresses), self.dimensions, unit_norm=self.unit_norm)
        self.keep(addresses, list(vectors.copy()), [payment.note()] if payment else [])

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of texts, in order; raises `KeyError` if a text has none yet."""
        known = self.known()
        matrix = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            vector = known.get(text_sha256(text))
            if vector is None:
                raise KeyError(f"no vector yet for text {row}: {text[:80]!r}")
            matrix[row] = vector
        return matrix

    def rows_of(self, addresses: Sequence[str], values: Sequence[Vectors]) -> pa.Table:
        """Texts' addresses and vectors as columns."""
        matrix = np.array(values, np.float32).reshape(-1, self.dimensions)
        columns = {
            "text_sha256": pa.array(addresses, pa.string()),
            "embedding": embedding_column(matrix),
        }
        return pa.table(columns)

    def values_in(self, rows: pa.Table) -> tuple[Sequence[str], Sequence[Vectors]]:
        """Addresses and vectors of a shard."""
        flat = rows["embedding"].combine_chunks().flatten().to_numpy()
        return rows["text_sha256"].to_pylist(), list(flat.reshape(-1, self.dimensions))


@dataclass(frozen=True)
class CostForecast:
    """Cost of the texts that have no vector yet.

    Parameters
    ----------
    embedder
        Its id.
    n_texts, n_new
        Distinct texts, and those without a vector.
    tokens
        Tokens of those without a vector.
    dollars
        Their cost.
    basis
        How tokens were counted.
    """

    embedder: str
    n_texts: int
    n_new: int
    tokens: int
    dollars: float
    basis: str


def forecast(
    embedder: TextEmbedder, cache: VectorCache, texts: Sequence[str], *, price: float = 1.0
) -> CostForecast:
    """Forecast what embedding texts costs; no request is sent.

    Parameters
    ----------
    embedder
        The embedder.
    cache
        Its cache.
    texts
        Texts; may repeat.
    price
        Share of the full price: for the Batch API the declaration's `batch_price`.

    Returns
    -------
    CostForecast
        Zero dollars for models on this machine.
    """
    new = cache.missing(texts)
    if not isinstance(embedder, MeteredEmbedder):
        basis = "runs on this machine: costs nothing, tokens are not counted"
        return CostForecast(embedder.id, len(set(texts)), len(new), 0, 0.0, basis)
    tokens = sum(embedder.count_tokens(new))
    dollars = tokens * embedder.dollars_per_million_tokens * price / MILLION
    return CostForecast(
        embedder.id, len(set(texts)), len(new), tokens, dollars, embedder.counted_by
    )
