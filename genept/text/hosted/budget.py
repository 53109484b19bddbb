"""The budget of an embedder: texts are paid for under a lease, and stored with their payment.

One run pays at a time. A killed run costs at most the requests that were open. Batches of the Batch
API are sent and collected, never waited for. What may be spent is kept by
`genept.text.hosted.spending`.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from genept.text.composition import text_sha256
from genept.text.embedders import RefusedEmbeddingError
from genept.text.hosted.batch_api import Job, PendingTextsError
from genept.text.hosted.hosted_models import SpendingLimit
from genept.text.hosted.openai import OpenAIEmbedder
from genept.text.hosted.recorded_batches import addresses_under_way, require_collected
from genept.text.hosted.spending import Spending
from genept.text.hosted.text_batches import TextBatches
from genept.text.metered import MeteredEmbedder, Pace, Runner, plain_loop
from genept.text.vector_cache import MILLION, Payment, VectorCache, Vectors


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
        self.spending = Spending(
            cache.store,
            cache.product,
            spending_limit,
            RefusedEmbeddingError,
            BudgetError,
            waiting,
            pace,
        )
        self._jobs: TextBatches | None = None
        if isinstance(embedder, OpenAIEmbedder):
            self._jobs = TextBatches(embedder, cache, run_id, self._keep)
        self._lock = threading.Lock()

    @property
    def payments(self) -> list[Payment]:
        """What this run paid."""
        return self.spending.payments

    def __enter__(self) -> Budget:
        self.spending.open(self.cache, self._jobs)
        return self

    def __exit__(self, *_: object) -> None:
        self.spending.__exit__()

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
            for batch in self._jobs.packed([text for request in requests for text in request]):
                pay(batch)
        else:
            runner(requests, pay, self.embedder.at_once)
        wanted = [text_sha256(text) for text in texts]
        require_collected(PendingTextsError, self.embedder.id, self._under_way, wanted)

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
        with self.spending.until_refused():
            if todo := self._missing(texts):
                self._pay(todo)

    def _pay(self, todo: list[str]) -> None:
        if self._jobs and self.spending_limit.batch_api:
            self.spending.send(self._jobs, todo)
            return
        self.spending.confirm()
        tokens = sum(self.embedder.count_tokens(todo))
        dollars = tokens * self.embedder.dollars_per_million_tokens / MILLION
        with self.spending.request(self.embedder.id, dollars, tokens):
            answer = self.embedder.ask(todo)
            self.spending.adapt(answer.limits)
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
                addresses = map(text_sha256, answer.texts)
                self._keep(dict(zip(addresses, answer.vectors, strict=True)), payment)
        if answer.failure:
            raise answer.failure

    def _missing(self, texts: Sequence[str]) -> list[str]:
        """Texts without a vector that are in no batch under way."""
        with self._lock:
            missing = self.cache.missing(texts)
        sent = addresses_under_way(self._under_way)
        return [text for text in missing if text_sha256(text) not in sent] if sent else missing

    @property
    def _under_way(self) -> list[Job]:
        return self._jobs.under_way if self._jobs else []

    def _keep(self, vectors: Mapping[str, Vectors], payment: Payment) -> None:
        matrix = np.array(list(vectors.values()), np.float32)
        matrix = matrix.reshape(-1, self.embedder.dimensions)
        with self._lock:
            self.cache.add_addressed(list(vectors), matrix, payment)
            self.spending.record(payment)
