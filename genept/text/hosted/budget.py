"""The budget: texts are paid for under a lease, within the spending limit, and recorded at once.

One run pays at a time. A killed run costs at most the requests that were open. Batches of the Batch
API are sent and collected, never waited for. Also the ledger of all payments, which are stored with
the vectors that they paid for.
"""

from __future__ import annotations

import secrets
import threading
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
from genept.text.composition import text_sha256
from genept.text.embedders import RefusedEmbeddingError
from genept.text.hosted.answers import packed_jobs
from genept.text.hosted.batch_api import Job
from genept.text.hosted.batch_jobs import BatchJobs, recorded_jobs, require_collected
from genept.text.hosted.hosted_models import SpendingLimit
from genept.text.hosted.openai import OpenAIEmbedder
from genept.text.metered import MeteredEmbedder, Pace, Runner, plain_loop
from genept.text.vector_cache import MILLION, RELISTED, Payment, VectorCache, payments_in


class BudgetError(RefusedEmbeddingError):
    """The next request may exceed the spending limit; what was paid for is kept."""


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
    waiting
        Called with the reason if another run is paying and has to be waited for.
    pace
        Keeps the limits of the service; None: it is asked at once, and again when it refuses.
    """

    def __init__(
        self,
        embedder: MeteredEmbedder,
        cache: VectorCache,
        spending_limit: SpendingLimit,
        run_id: str,
        waiting: Callable[[str], None] = lambda _: None,
        pace: Pace | None = None,
    ) -> None:
        self.embedder, self.cache = embedder, cache
        self.spending_limit, self.run_id = spending_limit, run_id
        key, what = f"{cache.product}/cache/paying.json", "paying for texts"
        self._lease = Lease(cache.store, key, what, waiting)
        self.pace = pace
        self.payments: list[Payment] = []
        self._jobs: BatchJobs | None = None
        if isinstance(embedder, OpenAIEmbedder):
            self._jobs = BatchJobs(embedder, cache, run_id, self._keep)
        self._lock = threading.Lock()
        self._spent = self._reserved = 0.0
        self._refused: RefusedEmbeddingError | None = None

    def __enter__(self) -> Budget:
        self._lease.__enter__()
        try:
            self.cache.refresh()  # with what the last holder paid for
            payments = all_payments(self.cache.store, self.cache.product)
            self._spent = sum(payment.dollars for payment in payments)
            batches = recorded_jobs(self.cache.store, f"{self.cache.product}/cache/batches/")
            self._reserved = sum(job.dollars for _, job in batches if not job.faults)
            if self._jobs:
                recorded = self._jobs.collect()
                self._reserved -= recorded - self._jobs.dollars_under_way
        except BaseException:
            self._lease.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._lease.__exit__()

    def pay_all(
        self,
        texts: Sequence[str],
        runner: Runner = plain_loop,
        advance: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Pay for any number of texts, by requests or, if the spending limit says so, by batches.

        Parameters
        ----------
        texts
            Texts; those with a vector cost nothing.
        runner
            Runs the requests.
        advance
            Called with the number of texts of each request that was answered.

        Raises
        ------
        EmbeddingError
            As in `pay`; `PendingBatchesError` if some are in a batch that is not finished.
        """

        def pay(request: Sequence[str]) -> None:
            self.pay(request)
            advance(len(request))

        requests = self.embedder.pack(self._missing(texts))
        if self._jobs and self.spending_limit.batch_api:
            for batch in packed_jobs([text for request in requests for text in request]):
                pay(batch)
        else:
            runner(requests, pay, self.embedder.at_once)
        require_collected(self.embedder.id, self._under_way, texts)

    def pay(self, texts: Sequence[str]) -> None:
        """Embed every text that has no vector in the cache, and store it with its payment.

        A text in a batch under way is left to it.

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
                before = self._jobs.dollars_under_way
                try:
                    self._jobs.send(todo)
                finally:
                    self._reserved += self._jobs.dollars_under_way - before
            return
        with self._reserved_for(tokens):
            if self.pace:
                self.pace.wait(tokens)
                self._confirm_lease()
            answer = self.embedder.ask(todo)
            if self.pace and answer.limits:
                self.pace.adapt(answer.limits)
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
        """Texts without a vector that are in no batch under way."""
        with self._lock:
            missing = self.cache.missing(texts)
        sent = {a for job in self._under_way for a in job.addresses}
        return [text for text in missing if text_sha256(text) not in sent] if sent else missing

    @property
    def _under_way(self) -> list[Job]:
        return self._jobs.under_way if self._jobs else []

    def _keep(
        self, addresses: Sequence[str], vectors: npt.NDArray[np.float32], payment: Payment
    ) -> None:
        with self._lock:
            self.cache.add_addressed(addresses, vectors, payment)
            self._spent += payment.dollars
            self.payments.append(payment)

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

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.

    Returns
    -------
    list of Payment
        Of all embedders. Raises `StoreError` if shards keep disappearing while they are read.
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
        code=("genept.text.hosted.budget", "genept.text.vector_cache", "genept.schema.tables"),
        settings={"payments": [payment["receipt_id"] for payment in payments]},
    )
    (part,) = lake.build("embedding_ledger", origin, lambda: [NewPart("embedding_ledger", rows)])
    return part
