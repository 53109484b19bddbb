"""Texts embedded through the Batch API: half the price, and up to a day's wait.

A batch is recorded in the store, under the hashes of its texts, before it is created: after a kill
at any moment the next run collects what was paid for. What may be spent is
`genept.text.embedders.hosted.budget`; what is sent is `genept.text.embedders.hosted.batch_api`.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from genept.text.descriptions import text_sha256
from genept.text.embedders.cache import VectorCache
from genept.text.embedders.embedder import EmbeddingError, RefusedEmbeddingError
from genept.text.embedders.hosted.answers import charged_tokens, named, read_answer
from genept.text.embedders.hosted.batch_api import BatchApi
from genept.text.embedders.hosted.ledger import Payment, new_payment
from genept.text.embedders.hosted.openai import ROUNDS, OpenAIEmbedder

JOB_TEXTS: Final = 50_000
JOB_BYTES: Final = 150_000_000
"""Of texts; a file may have 200 MB, and each text comes in an envelope of its own."""

Keep = Callable[[Sequence[str], npt.NDArray[np.float32], Payment], None]


@dataclass(frozen=True)
class Job:
    """A batch that was created, or is about to be: then it has no `batch_id` yet."""

    nonce: str
    addresses: tuple[str, ...]
    tokens: int
    batch_id: str | None = None


class BatchJobs:
    """The batches of one embedder.

    Parameters
    ----------
    embedder, cache
        The embedder and its cache.
    run_id
        Of this run, for payments.
    keep
        Stores vectors, by the addresses of their texts, with their payment.
    abandoned
        Set on interruption: open batches are then left for the next run to collect.
    """

    def __init__(
        self,
        embedder: OpenAIEmbedder,
        cache: VectorCache,
        run_id: str,
        keep: Keep,
        abandoned: threading.Event,
    ) -> None:
        self.embedder, self.run_id, self._keep = embedder, run_id, keep
        self.store, self._cache = cache.store, cache
        self.price = embedder.declared.batch_price
        self.prefix = cache.prefix.replace("/cache/vectors/", "/cache/batches/", 1)
        self._api = BatchApi(embedder, abandoned)
        self._lock = threading.Lock()
        self._recalled: list[Job] = []

    def recall(self) -> None:
        """Find the batches that an earlier run left open."""
        for info in self.store.list(self.prefix):
            entry = json.loads(self.store.get(info.key))
            job = Job(**{**entry, "addresses": tuple(entry["addresses"])})
            if all(map(self._cache.has, job.addresses)):
                self._forget(job)  # the run was killed when it had kept everything
            else:
                self._recalled.append(job)

    def collect(self, texts: Sequence[str]) -> None:
        """Wait for recalled batches that hold some of these texts, and store their vectors."""
        wanted = {text_sha256(text) for text in texts}
        with self._lock:
            while mine := [job for job in self._recalled if wanted & set(job.addresses)]:
                job = mine[0]
                if batch_id := job.batch_id or self._api.find(job.nonce):
                    self._finish(job, batch_id)
                else:
                    self._forget(job)  # the run was killed before it sent the batch
                self._recalled.remove(job)

    def settle(self, texts: Sequence[str]) -> None:
        """Embed texts in a batch, and in further ones those without a valid vector.

        Raises
        ------
        EmbeddingError
            Texts have no valid vector after `ROUNDS` batches, or a batch failed.
        """
        by_address = {text_sha256(text): text for text in texts}
        todo = list(by_address)
        faults: Mapping[str, str] = {}
        for _ in range(ROUNDS):
            chosen = {address: by_address[address] for address in todo}
            faults = self._finish(*self._begin(chosen))
            todo = [address for address in todo if address in faults]
            if not todo:
                return
        listed = named([(by_address[address], faults[address]) for address in todo])
        raise EmbeddingError(
            f"{self.embedder.id}: {len(todo)} of {len(texts)} texts were answered badly in "
            f"{ROUNDS} batches and are not kept: {listed}"
        )

    def _begin(self, texts: Mapping[str, str]) -> tuple[Job, str]:
        """Create a batch that is recorded before it exists."""
        tokens = sum(self.embedder.count_tokens(list(texts.values())))
        job = Job(secrets.token_hex(12), tuple(texts), tokens)
        etag = self.store.put_if_match(self._key(job), _body(job), None)
        file_id = self._api.upload(texts)
        batch_id = self._api.create(file_id, job.nonce)
        self.store.put_if_match(self._key(job), _body(replace(job, batch_id=batch_id)), etag)
        return job, batch_id

    def _finish(self, job: Job, batch_id: str) -> dict[str, str]:
        """Wait for a batch and store its valid vectors; return what is wrong with other texts."""
        outcome = self._api.wait(batch_id)
        good: dict[str, npt.NDArray[np.float32]] = {}
        faults = dict.fromkeys(job.addresses, "was not answered")
        refusal = outcome.refusal
        usage: int | None = 0
        n_answers = 0
        for address, body in outcome.answers.items():
            if address not in faults:
                continue
            charged = charged_tokens(body)
            usage = None if usage is None or charged is None else usage + charged
            n_answers += 1
            try:
                answer = read_answer(body, 1, self.embedder.declared)
            except RefusedEmbeddingError as error:
                refusal = error
                continue
            if fault := answer.faults.get(0):
                faults[address] = fault
            else:
                good[address] = answer.good[0]
        for address in good:
            del faults[address]
        faults |= {address: why for address, why in outcome.failures.items() if address in faults}
        self._account(job, batch_id, good, usage, n_answers)
        self._forget(job)
        if refusal:
            raise refusal
        return faults

    def _account(
        self,
        job: Job,
        batch_id: str,
        good: Mapping[str, npt.NDArray[np.float32]],
        usage: int | None,
        n_answers: int,
    ) -> None:
        if not n_answers:
            return
        payment = new_payment(
            self.embedder,
            self.run_id,
            f"batch-{batch_id}",  # collected twice after a kill, it is still one payment
            mode="batch",
            n_texts=len(good),
            n_requests=n_answers,
            n_unanswered=0,
            usage=usage,
            estimate=job.tokens,
            price=self.price,
        )
        vectors = np.array(list(good.values()), np.float32).reshape(-1, self.embedder.dimensions)
        self._keep(list(good), vectors, payment)

    def _key(self, job: Job) -> str:
        return f"{self.prefix}{job.nonce}.json"

    def _forget(self, job: Job) -> None:
        self.store.delete([self._key(job)])


def packed_jobs(texts: Sequence[str]) -> list[list[str]]:
    """Split texts into batches that the service accepts.

    Parameters
    ----------
    texts
        Texts to embed.

    Returns
    -------
    list of list of str
        At most `JOB_TEXTS` texts and `JOB_BYTES` bytes of UTF-8 each, in the order of `texts`.
    """
    jobs: list[list[str]] = []
    left = 0
    for text in texts:
        size = len(text.encode())
        if not jobs or size > left or len(jobs[-1]) >= JOB_TEXTS:
            jobs.append([])
            left = JOB_BYTES
        jobs[-1].append(text)
        left -= size
    return jobs


def _body(job: Job) -> bytes:
    return json.dumps(asdict(job), sort_keys=True).encode()
