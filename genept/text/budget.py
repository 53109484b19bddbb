"""The budget: texts are paid for under a lease, within the spending limit, and recorded at once.

One run pays at a time. A killed run costs at most the requests that were open. Also the ledger of
all payments, which are stored with the vectors that they paid for.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from genept.common import StoreError
from genept.schema.tables import TABLES
from genept.storage import Lake, Lease, NewPart, ObjectStore, Origin, Part
from genept.text.batch_jobs import BatchJobs
from genept.text.composition import text_sha256
from genept.text.embedders import RefusedEmbeddingError
from genept.text.hosted_models import MeteredEmbedder, SpendingLimit
from genept.text.openai import OpenAIEmbedder
from genept.text.vector_cache import MILLION, RELISTED, Payment, VectorCache, payments_in


class BudgetError(RefusedEmbeddingError):
    """The next request may exceed the spending limit; what was paid for is kept."""


class TokenRate:
    """Spaces requests so that no minute has more tokens than allowed, for any number of threads."""

    def __init__(self, tokens_per_minute: int) -> None:
        self.per_second = tokens_per_minute / 60
        self._free_at = 0.0
        self._lock = threading.Lock()

    def wait(self, tokens: int) -> float:
        """Wait until `tokens` are allowed; return the seconds waited."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._free_at)
            self._free_at = start + tokens / self.per_second
        time.sleep(start - now)
        return start - now


class Budget:
    """Pays for texts; a context that several threads may share.

    Parameters
    ----------
    embedder, cache
        The embedder and its cache.
    spending_limit
        What may be spent.
    run_id
        Of this run, for payments.
    abandoned
        Set on interruption: open batches are then left to the next run.
    waiting
        Called with the reason if another run is paying and has to be waited for.
    """

    def __init__(
        self,
        embedder: MeteredEmbedder,
        cache: VectorCache,
        spending_limit: SpendingLimit,
        run_id: str,
        abandoned: threading.Event | None = None,
        waiting: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.embedder, self.cache = embedder, cache
        self.spending_limit, self.run_id = spending_limit, run_id
        key, what = f"{cache.product}/cache/paying.json", "paying for texts"
        self._lease = Lease(cache.store, key, what, waiting)
        self._rate = TokenRate(embedder.tokens_per_minute)
        self._jobs: BatchJobs | None = None
        if isinstance(embedder, OpenAIEmbedder):
            self._jobs = BatchJobs(
                embedder, cache, run_id, self._keep, abandoned or threading.Event()
            )
        self._lock = threading.Lock()
        self._spent = self._reserved = 0.0
        self._refused: RefusedEmbeddingError | None = None

    def __enter__(self) -> Budget:
        self._lease.__enter__()
        try:
            self.cache.refresh()  # with what the last holder paid for
            payments = all_payments(self.cache.store, self.cache.product)
            self._spent = sum(payment.dollars for payment in payments)
            if self._jobs:
                self._jobs.recall()
        except BaseException:
            self._lease.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._lease.__exit__()

    def pay(self, texts: Sequence[str]) -> None:
        """Embed every text that has no vector in the cache, and store it with its payment.

        Parameters
        ----------
        texts
            Texts; those with a vector cost nothing.

        Raises
        ------
        BudgetError
            Before a request that may exceed the spending limit.
        EmbeddingError
            A text could not be embedded; the others are kept.
        """
        if self._refused:
            raise self._refused
        try:
            if self._jobs:
                self._jobs.collect(self._missing(texts))
            if todo := self._missing(texts):
                self._pay(todo)
        except RefusedEmbeddingError as error:
            self._refused = error
            raise

    def _pay(self, todo: list[str]) -> None:
        self._confirm_lease()
        tokens = sum(self.embedder.count_tokens(todo))
        if self._jobs and self.spending_limit.batch_api:
            with self._reserved_for(tokens, self._jobs.price):
                self._jobs.settle(todo)
            return
        with self._reserved_for(tokens):
            self._rate.wait(tokens)
            self._confirm_lease()
            answer = self.embedder.ask(todo)
            if answer.n_requests or answer.n_unanswered:
                payment = Payment.made(
                    self.embedder,
                    answer.tokens,
                    tokens,
                    receipt_id=f"request-{secrets.token_hex(12)}",
                    run_id=self.run_id,
                    mode="request",
                    n_texts=len(answer.texts),
                    n_requests=answer.n_requests,
                    n_unanswered=answer.n_unanswered,
                )
                self._keep([text_sha256(text) for text in answer.texts], answer.vectors, payment)
        if answer.failure:
            raise answer.failure

    def _confirm_lease(self) -> None:
        if not self._lease.is_held:
            raise RefusedEmbeddingError(
                "this run was suspended, or cut off from the store, for so long that another one "
                "may be paying by now; nothing more was requested: run again"
            )

    def _missing(self, texts: Sequence[str]) -> list[str]:
        with self._lock:
            return self.cache.missing(texts)

    def _keep(
        self, addresses: Sequence[str], vectors: npt.NDArray[np.float32], payment: Payment
    ) -> None:
        with self._lock:
            self.cache.add_addressed(addresses, vectors, payment)
            self._spent += payment.dollars

    @contextmanager
    def _reserved_for(self, tokens: int, price: float = 1.0) -> Iterator[None]:
        """Reserve what a request may cost until it is recorded."""
        dollars = tokens * self.embedder.dollars_per_million_tokens * price / MILLION
        budget = self.spending_limit.budget
        with self._lock:
            if budget is not None and self._spent + self._reserved + dollars > budget:
                raise BudgetError(
                    f"{self.embedder.id}: the next request may cost ${dollars:.6f}; of the budget "
                    f"of ${budget:g}, ${self._spent:.6f} is spent and ${self._reserved:.6f} "
                    "under way. What was paid for is kept: raise GENEPT_EMBEDDING_BUDGET and run "
                    "again to go on from here"
                )
            self._reserved += dollars
        try:
            yield
        finally:
            with self._lock:
                self._reserved -= dollars


def all_payments(store: ObjectStore, product: str) -> list[Payment]:
    """Every payment of an installation, each once, oldest first; only footers of shards are read.

    Raises `StoreError` if shards keep disappearing while they are read.
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
        code=("genept.text.budget", "genept.text.vector_cache", "genept.schema.tables"),
        settings={"payments": [payment["receipt_id"] for payment in payments]},
    )
    (part,) = lake.build("embedding_ledger", origin, lambda: [NewPart("embedding_ledger", rows)])
    return part
