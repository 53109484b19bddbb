"""The ledger: what was paid for vectors, one payment per shard, stored inside the shard.

Vectors and their cost are one object, written at once, so no vector is kept without its payment.
Whether something may be paid is decided in `genept.text.embedders.hosted.budget`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from genept.common import StoreError
from genept.schema.tables import TABLES
from genept.storage import Lake, NewPart, ObjectStore, Origin, Part
from genept.text.embedders.embedder import MeteredEmbedder

PAYMENTS: Final = b"receipts"
"""Under which a shard's parquet metadata hold the payments of its vectors."""

RELISTED: Final = 8
MILLION: Final = 1_000_000


@dataclass(frozen=True)
class Payment:
    """One payment: a request or a batch, with its retries.

    `n_unanswered` counts requests without a complete answer: the service may have charged for them,
    which only its invoice shows.

    Parameters
    ----------
    receipt_id, paid_at, run_id
        Identity, time (UTC) and run.
    embedder
        Its id.
    mode
        Single request or batch.
    n_texts, n_requests, n_unanswered
        Texts with a vector, requests with an answer, and requests without one.
    tokens, tokens_from
        Tokens charged, by the service's usage or by our estimate.
    dollars
        Their price.
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


def charged(
    embedder: MeteredEmbedder, usage: int | None, estimate: int, price: float = 1.0
) -> dict[str, Any]:
    """Fields of a payment made now, by the tokens that were charged, else by our estimate."""
    tokens = estimate if usage is None else usage
    return {
        "embedder": embedder.id,
        "paid_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "tokens": tokens,
        "tokens_from": "estimate" if usage is None else "usage",
        "dollars": tokens * embedder.dollars_per_million_tokens * price / MILLION,
    }


def payments_as_json(payments: Iterable[Payment]) -> bytes:
    """Encode payments for the metadata of a shard.

    Parameters
    ----------
    payments
        What was paid for the vectors of the shard.

    Returns
    -------
    bytes
        A JSON list, as `payments_in` reads it.
    """
    return json.dumps([asdict(payment) for payment in payments], sort_keys=True).encode()


def payments_in(metadata: Mapping[bytes, bytes] | None) -> list[Payment]:
    """Decode the payments of a shard.

    Parameters
    ----------
    metadata
        Metadata of the shard's parquet schema; None if it has none.

    Returns
    -------
    list of Payment
        Empty for a shard that cost nothing.
    """
    return [Payment(**entry) for entry in json.loads((metadata or {}).get(PAYMENTS, b"[]"))]


def all_payments(store: ObjectStore, product: str) -> list[Payment]:
    """Read every payment of an installation; only footers of shards are read.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.

    Returns
    -------
    list of Payment
        Each once, oldest first.

    Raises
    ------
    StoreError
        Shards keep disappearing while they are read.
    """
    prefix = f"{product}/cache/vectors/"
    for _ in range(RELISTED):
        keys = [info.key for info in store.list(prefix)]
        with ThreadPoolExecutor(8) as pool:
            per_shard = list(pool.map(partial(_of_shard, store), keys))
        if None not in per_shard:  # else a merge was under way: its result is in the next list
            each = {
                payment.receipt_id: payment for of_shard in per_shard for payment in of_shard or ()
            }
            return sorted(each.values(), key=lambda payment: (payment.paid_at, payment.receipt_id))
    raise StoreError(f"{store.uri(prefix)}: shards keep disappearing while payments are read")


def _of_shard(store: ObjectStore, key: str) -> list[Payment] | None:
    try:
        schema = pq.read_schema(f"{store.bucket}/{key}", filesystem=store.access.filesystem())
    except FileNotFoundError:
        return None
    return payments_in(schema.metadata)


def record_ledger(lake: Lake, product: str) -> Part:
    """Build table `embedding_ledger`: one row per payment.

    Parameters
    ----------
    lake
        Where the table is stored.
    product
        Key prefix of the installation.

    Returns
    -------
    Part
        The whole table.
    """
    payments = [asdict(payment) for payment in all_payments(lake.store, product)]
    rows = pa.Table.from_pylist(payments, schema=TABLES["embedding_ledger"].schema())
    origin = Origin(
        code=("genept.text.embedders.hosted.ledger", "genept.schema.tables"),
        settings={"payments": [payment["receipt_id"] for payment in payments]},
    )
    (part,) = lake.build("embedding_ledger", origin, lambda: [NewPart("embedding_ledger", rows)])
    return part
