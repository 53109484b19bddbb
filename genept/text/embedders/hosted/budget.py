"""The budget: texts are paid for under a lease, within the spending limit, and recorded at once.

One run pays at a time. A killed run costs at most the requests that were open. Also the hosted
embedders that an installation may use. The record of payments is
`genept.text.embedders.hosted.ledger`.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import SecretStr

from genept.common import Settings
from genept.storage import Lease
from genept.text.descriptions import text_sha256
from genept.text.embedders.cache import VectorCache
from genept.text.embedders.embedder import MeteredEmbedder, RefusedEmbeddingError
from genept.text.embedders.hosted.batch_jobs import BatchJobs
from genept.text.embedders.hosted.declared import HostedModel, SpendingLimit, load_embedders
from genept.text.embedders.hosted.ledger import MILLION, Payment, all_payments, charged
from genept.text.embedders.hosted.openai import OpenAIEmbedder
from genept.text.embedders.spaces import Space


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
                payment = Payment(
                    receipt_id=f"request-{secrets.token_hex(12)}",
                    run_id=self.run_id,
                    mode="request",
                    n_texts=len(answer.texts),
                    n_requests=answer.n_requests,
                    n_unanswered=answer.n_unanswered,
                    **charged(self.embedder, answer.tokens, tokens),
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


@dataclass(frozen=True)
class HostedEmbedders:
    """The hosted embedders of an installation: declared models, and the settings for paying.

    Parameters
    ----------
    declared
        Models by id.
    api_key, base_url
        Key and address of the service; None where not set.
    spending_limit
        What may be spent.
    """

    declared: Mapping[str, HostedModel]
    api_key: SecretStr | None
    base_url: str | None
    spending_limit: SpendingLimit

    @classmethod
    def of(cls, settings: Settings) -> HostedEmbedders:
        """Read them from the settings.

        Parameters
        ----------
        settings
            Of the installation.

        Returns
        -------
        HostedEmbedders
            Shipped and own declarations.

        Raises
        ------
        RefusedEmbeddingError
            The file of own declarations is invalid.
        """
        return cls(
            load_embedders(settings.embedders),
            settings.openai_api_key,
            settings.openai_base_url,
            SpendingLimit(settings.embedding_budget, settings.embedding_batch_api),
        )

    def unavailable(self, id_: str) -> str | None:
        """Why a hosted embedder cannot be used; none if it can, or is not a hosted one."""
        if id_ in self.declared and not (self.api_key and self.api_key.get_secret_value().strip()):
            return f"{id_} is a hosted embedder and there is no key: set GENEPT_OPENAI_API_KEY"
        return None

    def open(self, id_: str) -> OpenAIEmbedder:
        """Open a hosted embedder; nothing is sent yet.

        Parameters
        ----------
        id_
            Id of a declared model.

        Returns
        -------
        OpenAIEmbedder
            The embedder.

        Raises
        ------
        RefusedEmbeddingError
            There is no key.
        """
        if (why := self.unavailable(id_)) or self.api_key is None:
            raise RefusedEmbeddingError(str(why))
        return OpenAIEmbedder(self.declared[id_], self.api_key, self.base_url)

    def price(self, embedder: OpenAIEmbedder) -> float:
        """Share of the full price that is paid: below 1 for the Batch API."""
        return embedder.declared.batch_price if self.spending_limit.batch_api else 1.0

    def spaces(self, recipes: Iterable[str]) -> list[Space]:
        """Every recipe embedded by every hosted embedder; built only if named in the settings."""
        return [Space(id_, recipe) for id_ in self.declared for recipe in recipes]
