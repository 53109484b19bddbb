"""Where texts are paid for: under a lease, within a budget, each payment kept with its vectors.

Also the hosted embedders of an installation: which may be used, and why not.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import SecretStr

from genept.common.settings import Settings
from genept.text.descriptions.compose import text_sha256
from genept.text.embedders.cache import VectorCache
from genept.text.embedders.embedder import MeteredEmbedder, RefusedEmbeddingError
from genept.text.embedders.hosted.batch_jobs import BatchJobs
from genept.text.embedders.hosted.declared import HostedModel, TokenRate, load_embedders
from genept.text.embedders.hosted.lease import Lease
from genept.text.embedders.hosted.ledger import MILLION, Receipt, all_receipts, new_receipt
from genept.text.embedders.hosted.openai import OpenAIEmbedder
from genept.text.embedders.spaces import Space


class BudgetError(RefusedEmbeddingError):
    """The next request might cost more than is left; what was paid for is kept."""


@dataclass(frozen=True)
class Purse:
    """What may be spent, and how.

    Parameters
    ----------
    budget
        Dollars that the installation may have spent in all; none: no limit.
    batch_api
        Whether to ask through the Batch API: half the price, up to a day's wait.
    """

    budget: float | None = None
    batch_api: bool = False


class Till:
    """Pays for texts; use it as a context. Safe to share between threads.

    Parameters
    ----------
    abandoned
        Set when nobody waits for what is paid for any more: batches under way are then left
        to the next run.
    waiting
        Told when another run is paying and has to be waited for.
    """

    def __init__(
        self,
        embedder: MeteredEmbedder,
        cache: VectorCache,
        purse: Purse,
        run_id: str,
        abandoned: threading.Event | None = None,
        waiting: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.embedder, self.cache, self.purse, self.run_id = embedder, cache, purse, run_id
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

    def __enter__(self) -> Till:
        self._lease.__enter__()
        try:
            self.cache.refresh()  # with what the last holder paid for
            receipts = all_receipts(self.cache.store, self.cache.product)
            self._spent = sum(one.dollars for one in receipts)
            if self._jobs:
                self._jobs.recall()
        except BaseException:
            self._lease.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._lease.__exit__()

    def pay(self, texts: Sequence[str]) -> None:
        """See to it that every text has a vector in the cache, paying only for those without.

        Raises
        ------
        BudgetError
            Before a request that might exceed the budget.
        EmbeddingError
            If a text could not be embedded; those that could are kept.
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
        if self._jobs and self.purse.batch_api:
            with self._reserved_for(tokens, self._jobs.price):
                self._jobs.settle(todo)
            return
        with self._reserved_for(tokens):
            self._rate.wait(tokens)
            self._lease.confirm()
            answer = self.embedder.ask(todo)
            if answer.n_requests or answer.n_unanswered:
                receipt = new_receipt(
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
                self._keep([text_sha256(text) for text in answer.texts], answer.vectors, receipt)
        if answer.failure:
            raise answer.failure

    def _missing(self, texts: Sequence[str]) -> list[str]:
        with self._lock:
            return self.cache.missing(texts)

    def _keep(
        self, addresses: Sequence[str], vectors: npt.NDArray[np.float32], receipt: Receipt
    ) -> None:
        with self._lock:
            self.cache.add_addressed(addresses, vectors, receipt)
            self._spent += receipt.dollars

    @contextmanager
    def _reserved_for(self, tokens: int, price: float = 1.0) -> Iterator[None]:
        """Set aside what a request may cost, before it is sent and until it is settled."""
        dollars = tokens * self.embedder.dollars_per_million_tokens * price / MILLION
        budget = self.purse.budget
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


@dataclass(frozen=True)
class HostedEmbedders:
    """Declared models, and what the settings say about paying for them."""

    declared: Mapping[str, HostedModel]
    api_key: SecretStr | None
    base_url: str | None
    purse: Purse

    @classmethod
    def of(cls, settings: Settings) -> HostedEmbedders:
        """Those of the settings. Raises `RefusedEmbeddingError` if their file is of no use."""
        return cls(
            load_embedders(settings.embedders),
            settings.openai_api_key,
            settings.openai_base_url,
            Purse(settings.embedding_budget, settings.embedding_batch_api),
        )

    def unavailable(self, id_: str) -> str | None:
        """Why a hosted embedder cannot be used; none if it can, or is not a hosted one."""
        if id_ in self.declared and not (self.api_key and self.api_key.get_secret_value().strip()):
            return f"{id_} is a hosted embedder and there is no key: set GENEPT_OPENAI_API_KEY"
        return None

    def open(self, id_: str) -> OpenAIEmbedder:
        """A hosted embedder; nothing is sent yet. Raises `RefusedEmbeddingError` without a key."""
        if (why := self.unavailable(id_)) or self.api_key is None:
            raise RefusedEmbeddingError(str(why))
        return OpenAIEmbedder(self.declared[id_], self.api_key, self.base_url)

    def price(self, embedder: OpenAIEmbedder) -> float:
        """Share of the full price that is paid."""
        return embedder.declared.batch_price if self.purse.batch_api else 1.0

    def spaces(self, recipes: Iterable[str]) -> list[Space]:
        """Every recipe as embedded by every hosted embedder; whoever wants one names it."""
        return [Space(id_, recipe) for id_ in self.declared for recipe in recipes]
