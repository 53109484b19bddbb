"""The ledger: every payment of an installation, stored with what it paid for."""

from __future__ import annotations

from dataclasses import asdict
from itertools import chain
from typing import Final

import pyarrow as pa

from genept.schema.tables import TABLES
from genept.storage import Lake, NewPart, ObjectStore, Origin, Part, notes_below
from genept.text.vector_cache import Payment

PAID_FOR: Final = {"vectors": "batches", "chats": "chat_batches"}
"""Folders of the cache whose shards hold payments, and those of the batches that bring more."""


def all_payments(store: ObjectStore, product: str) -> list[Payment]:
    """Every payment of an installation, each once, oldest first; only footers of shards are read.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.

    Returns
    -------
    list of Payment
        Of all embedders and language models. Raises `StoreError` if shards keep disappearing while
        they are read.
    """
    notes = chain(*(notes_below(store, f"{product}/cache/{what}/") for what in PAID_FOR))
    payments = [Payment(**note) for note in notes]
    return sorted(payments, key=lambda payment: (payment.paid_at, payment.receipt_id))


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
        code=("genept.text.hosted.ledger", "genept.text.vector_cache", "genept.schema.tables"),
        settings={"payments": [payment["receipt_id"] for payment in payments]},
    )
    (part,) = lake.build("embedding_ledger", origin, lambda: [NewPart("embedding_ledger", rows)])
    return part
