"""The budget: texts are paid for under a lease, within the spending limit, and recorded at once.

One run pays at a time. A killed run costs at most the requests that were open. The record of
payments is `genept.text.embedders.hosted.ledger`.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genept.common import (
    ConflictError,
    MissingObjectError,
    StoreError,
    is_running,
    machine,
    started,
    uptime,
)
from genept.storage import ObjectStore
from genept.text.descriptions import text_sha256
from genept.text.embedders.cache import VectorCache
from genept.text.embedders.embedder import MeteredEmbedder, RefusedEmbeddingError
from genept.text.embedders.hosted.batch_jobs import BatchJobs
from genept.text.embedders.hosted.declared import SpendingLimit
from genept.text.embedders.hosted.ledger import MILLION, Payment, all_payments, new_payment
from genept.text.embedders.hosted.openai import OpenAIEmbedder

SECONDS: Final = 90.0

SPARE: Final = 15.0
"""Before its end the holder stops believing in its own lease, and others wait for longer."""


POLL: Final = 0.5


class Lease:
    """The exclusive right to pay; a context in which the lease is renewed until it is left.

    Parameters
    ----------
    store, key
        The object that holds the lease.
    waiting
        Called once with the reason if another run holds it.
    seconds
        How long the lease lasts after its last renewal.
    """

    def __init__(
        self,
        store: ObjectStore,
        key: str,
        waiting: Callable[[str], None] = lambda _: None,
        seconds: float = SECONDS,
    ) -> None:
        self.store, self.key, self.waiting, self.seconds = store, key, waiting, seconds
        self._holder: dict[str, Any] = {
            "holder": secrets.token_hex(8),
            "machine": machine(),
            "pid": os.getpid(),
            "started": started(os.getpid()),
            "seconds": seconds,
        }
        self._until = 0.0
        self._etag = ""
        self._seen = ("", 0.0)
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def __enter__(self) -> Lease:
        announced = False
        while not self._take():
            if not announced:
                self.waiting(f"another run is paying for texts ({self.store.uri(self.key)})")
                announced = True
            time.sleep(POLL)
        self._renewal = threading.Thread(target=self._renew, daemon=True)
        self._renewal.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._renewal.join()
        try:
            self._write(0.0, self._etag)
        except StoreError:
            return  # it was taken over, or it ends by itself

    def confirm(self) -> None:
        """Check that the lease is still held, with time to spare.

        Raises
        ------
        RefusedEmbeddingError
            It may have ended: the run was suspended or lost contact with the store.
        """
        if uptime() > self._until - _spare(self.seconds):
            raise RefusedEmbeddingError(
                "this run was suspended, or cut off from the store, for so long that another one "
                "may be paying by now; nothing more was requested: run again"
            )

    def _take(self) -> bool:
        try:
            body, etag = self.store.get_with_etag(self.key)
        except MissingObjectError:
            return self._try("")
        return self._is_free(json.loads(body), etag) and self._try(etag)

    def _try(self, etag: str) -> bool:
        try:
            self._write(self.seconds, etag)
        except ConflictError:
            return False
        return True

    def _is_free(self, held: dict[str, Any], etag: str) -> bool:
        if held["until"] == 0.0:  # its holder let go of it
            return True
        if held["machine"] == machine():
            if not is_running(held["pid"], held["started"]):
                return True  # a killed holder need not be waited for
            if "uptime" in held:
                return bool(uptime() > held["uptime"])
        if etag != self._seen[0]:
            self._seen = etag, uptime()
        seconds = float(held.get("seconds", SECONDS))
        return uptime() > self._seen[1] + seconds + _spare(seconds)

    def _renew(self) -> None:
        while not self._ended.wait(self.seconds / 4):
            try:
                self._write(self.seconds, self._etag)
            except ConflictError:
                self._until = 0.0
                return
            except StoreError:
                continue  # out of reach for a moment: `confirm` says when it was too long

    def _write(self, seconds: float, etag: str) -> None:
        """Hold the lease for so many seconds from now; 0 releases it.

        `until` is wall-clock time, for people and for earlier versions that compare it.
        """
        until = uptime() + seconds if seconds else 0.0
        times = {"until": time.time() + seconds if seconds else 0.0, "uptime": until}
        body = json.dumps(
            self._holder | times | {"nonce": secrets.token_hex(8)}, sort_keys=True
        ).encode()
        with self._lock:
            self._etag = self.store.put_if_match(self.key, body, etag or None)
            self._until = until


def _spare(seconds: float) -> float:
    return SPARE * seconds / SECONDS


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
        self.embedder, self.cache, self.spending_limit, self.run_id = (
            embedder,
            cache,
            spending_limit,
            run_id,
        )
        self._lease = Lease(cache.store, f"{cache.product}/cache/paying.json", waiting)
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
        self._lease.confirm()
        tokens = sum(self.embedder.count_tokens(todo))
        if self._jobs and self.spending_limit.batch_api:
            with self._reserved_for(tokens, self._jobs.price):
                self._jobs.settle(todo)
            return
        with self._reserved_for(tokens):
            self._rate.wait(tokens)
            self._lease.confirm()
            answer = self.embedder.ask(todo)
            if answer.n_requests or answer.n_unanswered:
                payment = new_payment(
                    self.embedder,
                    self.run_id,
                    f"request-{secrets.token_hex(12)}",
                    mode="request",
                    n_texts=len(answer.texts),
                    n_requests=answer.n_requests,
                    n_unanswered=answer.n_unanswered,
                    usage=answer.tokens,
                    estimate=tokens,
                )
                self._keep([text_sha256(text) for text in answer.texts], answer.vectors, payment)
        if answer.failure:
            raise answer.failure

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
