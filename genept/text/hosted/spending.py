"""What an installation spends: one run pays at a time, within the limit, and records it at once.

Shared by embedders and language models, whose payments count against the same limit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

from genept.storage import Lease, ObjectStore, ShardCache
from genept.text.hosted.batch_jobs import BatchJobs, Item
from genept.text.hosted.hosted_models import SpendingLimit
from genept.text.hosted.ledger import PAID_FOR, all_payments
from genept.text.hosted.recorded_batches import recorded_jobs
from genept.text.metered import Pace, RateLimits
from genept.text.vector_cache import Payment


class Spending:
    """The right to pay, as a context that several threads may share.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.
    limit
        What may be spent.
    refused
        Raised when nothing more may be requested by this run.
    over_budget
        Raised before a request that may exceed the limit.
    waiting
        Called with the reason if another run is paying and has to be waited for.
    pace
        Keeps the limits of the service; None: it is asked at once, and again when it refuses.
    """

    def __init__(
        self,
        store: ObjectStore,
        product: str,
        limit: SpendingLimit,
        refused: type[ValueError],
        over_budget: type[ValueError],
        waiting: Callable[[str], None] = lambda _: None,
        pace: Pace | None = None,
    ) -> None:
        self.store, self.product, self.limit = store, product, limit
        self.refused, self.over_budget, self.pace = refused, over_budget, pace
        self.lease = Lease(store, f"{product}/cache/paying.json", "paying for texts", waiting)
        self.payments: list[Payment] = []
        self._lock = threading.Lock()
        self._spent = self._reserved = 0.0
        self._refusal: ValueError | None = None

    def __enter__(self) -> Spending:
        self.lease.__enter__()
        try:
            payments = all_payments(self.store, self.product)
            self._spent = sum(payment.dollars for payment in payments)
            folders = (f"{self.product}/cache/{batches}/" for batches in PAID_FOR.values())
            jobs = chain(*(recorded_jobs(self.store, folder) for folder in folders))
            self._reserved = sum(job.dollars for _, job in jobs if not job.faults)
        except BaseException:
            self.lease.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.lease.__exit__()

    def open(self, cache: ShardCache[Any], jobs: BatchJobs[Any, Any] | None) -> None:
        """Enter, and take in what the last holder paid for and what the service has finished.

        Parameters
        ----------
        cache
            Of the model that is paid.
        jobs
            Its batches; None: its service has none.
        """
        self.__enter__()
        try:
            cache.refresh()
            if jobs:
                recorded = jobs.collect()
                self.reserve(jobs.dollars_under_way - recorded)
        except BaseException:
            self.__exit__()
            raise

    def send(self, jobs: BatchJobs[Item, Any], items: Sequence[Item]) -> None:
        """Send texts or chats as batches, within the limit.

        Parameters
        ----------
        jobs
            The batches of the model.
        items
            What is asked; nothing that is in a batch under way. Raises as `BatchJobs.send`.
        """
        self.confirm()
        with self.request(jobs.service.id, jobs.dollars_of(items)):
            before = jobs.dollars_under_way
            try:
                jobs.send(items)
            finally:
                self.reserve(jobs.dollars_under_way - before)

    def confirm(self) -> None:
        """Raise `refused` unless the right to pay is surely still held."""
        if not self.lease.is_held:
            raise self.refused(
                "this run was suspended, or cut off from the store, for so long that another one "
                "may be paying by now; nothing more was requested: run again"
            )

    @contextmanager
    def until_refused(self) -> Iterator[None]:
        """Work that a refusal ends: once one was raised, every thread raises it again."""
        if self._refusal:
            raise self._refusal
        try:
            yield
        except self.refused as error:
            self._refusal = error
            raise

    @contextmanager
    def request(self, model: str, dollars: float, tokens: int | None = None) -> Iterator[None]:
        """A request: what it may cost is reserved until it is recorded.

        Parameters
        ----------
        model
            Id, for messages.
        dollars
            What it may cost.
        tokens
            Waits until a request of so many may be sent; None: no waiting.

        Yields
        ------
        None
            Raises `over_budget` before, if it may exceed the limit.
        """
        with self._lock:
            budget = self.limit.budget
            if budget is not None and self._spent + self._reserved + dollars > budget:
                raise self.over_budget(
                    f"{model}: the next request may cost ${dollars:.6f}; of the budget "
                    f"of ${budget:g}, ${self._spent:.6f} is spent and ${self._reserved:.6f} "
                    "under way. What was paid for is kept: raise GENEPT_EMBEDDING_BUDGET and run "
                    "again to go on from here"
                )
            self._reserved += dollars
        try:
            if self.pace and tokens is not None:
                self.pace.wait(tokens)
                self.confirm()
            yield
        finally:
            self.reserve(-dollars)

    def adapt(self, stated: RateLimits | None) -> None:
        """Take over what the service says that it allows."""
        if self.pace and stated:
            self.pace.adapt(stated)

    def reserve(self, dollars: float) -> None:
        """Count so much more as reserved, or less if it is negative."""
        with self._lock:
            self._reserved += dollars

    def record(self, payment: Payment) -> None:
        """Count a payment that was stored."""
        with self._lock:
            self._spent += payment.dollars
            self.payments.append(payment)
