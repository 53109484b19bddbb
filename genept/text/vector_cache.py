"""The vector cache: vectors of texts that were embedded before, content-addressed in the store.

What was paid for vectors is one object with them, written at once, so no vector is kept without its
payment. Also a forecast of what embedding texts costs. What may be spent is
`genept.text.hosted.budget`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from genept.common import MissingObjectError, StoreError
from genept.storage import ObjectStore, get_table, put_table, sha256_of
from genept.text.composition import text_sha256
from genept.text.embedders import TextEmbedder, embedding_column, validate_vectors
from genept.text.metered import MeteredEmbedder

PAYMENTS: Final = b"receipts"
"""Under which a shard's parquet metadata hold the payments of its vectors."""

MILLION: Final = 1_000_000

COMPACT_AT: Final = 32
"""Shards from which on they are merged: each costs a request whenever a cache is opened."""


RELISTED: Final = 8

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Payment:
    """One payment: a request or a batch, with its retries.

    `n_unanswered` counts requests without a complete answer: the service may have charged for them,
    which only its invoice shows. `tokens_from` says whether the service reported the tokens.
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

    @classmethod
    def made(
        cls,
        embedder: MeteredEmbedder,
        usage: int | None,
        estimate: int,
        price: float = 1.0,
        **request: Any,
    ) -> Payment:
        """A payment made now, by the tokens that were charged, else by our estimate."""
        tokens = estimate if usage is None else usage
        return cls(
            embedder=embedder.id,
            paid_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            tokens=tokens,
            tokens_from="estimate" if usage is None else "usage",
            dollars=tokens * embedder.dollars_per_million_tokens * price / MILLION,
            **request,
        )


def payments_as_json(payments: Iterable[Payment]) -> bytes:
    """Encode payments for the metadata of a shard, as `payments_in` reads them."""
    return json.dumps([asdict(payment) for payment in payments], sort_keys=True).encode()


def payments_in(metadata: Mapping[bytes, bytes] | None) -> list[Payment]:
    """Decode the payments of a shard from its parquet metadata; none for what cost nothing."""
    return [Payment(**entry) for entry in json.loads((metadata or {}).get(PAYMENTS, b"[]"))]


class VectorCache:
    """The vectors of one embedder.

    Shards are read once, at first use or on `refresh`; those that this object writes are known to
    it. Writers never lose what another wrote. If two embed the same text, each keeps a valid vector
    of it; that metered texts are paid for once is the task of
    `genept.text.hosted.budget`.

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
        self.store, self.product = store, product
        self.dimensions, self.unit_norm = embedder.dimensions, embedder.unit_norm
        space = sha256_of(embedder.id, embedder.identity, embedder.dimensions)
        self.prefix = f"{product}/cache/vectors/{embedder.id}/{space[:16]}/"
        self._read: set[str] | None = None
        self._vectors: dict[str, Vectors] = {}

    def missing(self, texts: Sequence[str]) -> list[str]:
        """Return the distinct texts that have no vector yet, in the order given."""
        known = self._known()
        return [text for text in dict.fromkeys(texts) if text_sha256(text) not in known]

    def has(self, address: str) -> bool:
        """Whether there is a vector of the text with this SHA-256."""
        return address in self._known()

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
        self._known()
        key = self._write(addresses, vectors, [payment] if payment else [])
        self._remember(key, addresses, vectors.copy())

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of texts, in order; raises `KeyError` if a text has none yet."""
        known = self._known()
        matrix = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            vector = known.get(text_sha256(text))
            if vector is None:
                raise KeyError(f"no vector yet for text {row}: {text[:80]!r}")
            matrix[row] = vector
        return matrix

    def refresh(self) -> None:
        """Read what other writers have added since."""
        for _ in range(RELISTED):
            known = self._read or set()
            new = [i.key for i in self.store.list(self.prefix) if i.key not in known]
            with ThreadPoolExecutor(4) as pool:
                shards = list(pool.map(self._shard, new))
            self._read = known
            for key, shard in zip(new, shards, strict=True):
                if shard is not None:
                    addresses, vectors, _ = shard
                    self._remember(key, addresses, vectors)
            if None not in shards:
                return
        raise StoreError(
            f"{self.store.uri(self.prefix)}: shards keep disappearing while they are read; "
            "is something deleting them? stop it and run again"
        )

    def compact(self, at_least: int = COMPACT_AT) -> bool:
        """Merge the shards into one if there are `at_least` so many; return whether it did.

        The merged shard is complete before those that went into it are deleted: every vector is
        always in a shard that a reader can list, and a reader whose shard disappears lists again.
        Several processes may compact at once.
        """
        keys = [info.key for info in self.store.list(self.prefix)]
        if len(keys) < max(at_least, 2):
            return False
        vectors: dict[str, Vectors] = {}
        payments: dict[str, Payment] = {}
        merged: list[str] = []
        for key in keys:
            shard = self._shard(key)
            if shard is None:
                continue  # another one merged it: it is in a shard that we do not touch
            merged.append(key)
            vectors = dict(zip(*shard[:2], strict=True)) | vectors
            payments |= {payment.receipt_id: payment for payment in shard[2]}
        if len(merged) < 2:
            return False
        addresses = sorted(vectors)
        rows = np.array([vectors[address] for address in addresses])
        result = self._write(addresses, rows, payments.values())
        self.store.delete(key for key in merged if key != result)
        return True

    def _known(self) -> dict[str, Vectors]:
        """The vector of every text, by the address of the text."""
        if self._read is None:
            self.refresh()
        return self._vectors

    def _remember(self, key: str, addresses: Sequence[str], vectors: Vectors) -> None:
        self._vectors.update(zip(addresses, vectors, strict=True))
        if self._read is not None:
            self._read.add(key)

    def _write(
        self, addresses: Sequence[str], vectors: Vectors, payments: Iterable[Payment]
    ) -> str:
        rows = pa.table(
            {
                "text_sha256": pa.array(addresses, pa.string()),
                "embedding": embedding_column(vectors),
            }
        )
        if payments := list(payments):
            rows = rows.replace_schema_metadata({PAYMENTS: payments_as_json(payments)})
        # Random mantissas and hashes compress to 92 %, at many times the cost of writing them.
        return put_table(self.store, self.prefix, rows, compression="none", use_dictionary=False)

    def _shard(self, key: str) -> tuple[list[str], Vectors, list[Payment]] | None:
        """Addresses, vectors and payments of a shard; none if it was merged meanwhile."""
        remedy = "delete the object, and what it held is embedded again"
        try:
            rows = get_table(self.store, key, remedy)
        except MissingObjectError:
            return None
        flat = rows["embedding"].combine_chunks().flatten().to_numpy()
        matrix = flat.reshape(-1, self.dimensions)
        return rows["text_sha256"].to_pylist(), matrix, payments_in(rows.schema.metadata)


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
