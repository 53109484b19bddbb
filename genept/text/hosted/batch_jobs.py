"""Texts embedded through the Batch API: half the price, and up to a day's wait.

Nobody waits here: a batch is sent, and collected by whoever asks again once the service has
finished it. It is recorded in the store, under the hashes of its texts, before it is created: after
a kill at any moment the next run collects what was paid for.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from genept.common import MissingObjectError
from genept.storage import ObjectStore
from genept.text.composition import text_sha256
from genept.text.embedders import EmbeddingError, RefusedEmbeddingError
from genept.text.hosted.answers import read_answer
from genept.text.hosted.batch_api import ENDED, BatchApi, Job, PendingBatchesError
from genept.text.hosted.openai import ROUNDS, OpenAIEmbedder
from genept.text.hosted.service import named, stated_usage
from genept.text.vector_cache import MILLION, Payment, VectorCache

if TYPE_CHECKING:
    from openai.types import Batch

WINDOW: Final = timedelta(hours=24)
"""Time that the service allows itself for a batch."""

Keep = Callable[[Sequence[str], npt.NDArray[np.float32], Payment], None]


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
    """

    def __init__(
        self, embedder: OpenAIEmbedder, cache: VectorCache, run_id: str, keep: Keep
    ) -> None:
        self.embedder, self.run_id, self._keep = embedder, run_id, keep
        self.store, self._cache = cache.store, cache
        self.price = embedder.declared.batch_price
        self.prefix = _prefix(cache)
        self.api = BatchApi(embedder)
        self.jobs: list[Job] = []

    @property
    def under_way(self) -> list[Job]:
        """The batches that are not collected yet."""
        return [job for job in self.jobs if not job.faults]

    @property
    def dollars_under_way(self) -> float:
        """What they may cost."""
        return sum(job.dollars for job in self.under_way)

    def collect(self) -> float:
        """Read the recorded batches, and store the vectors of those that the service finished.

        Returns
        -------
        float
            Dollars that the recorded ones were expected to cost.

        Raises
        ------
        RefusedEmbeddingError
            The service refused a batch, or another model answered.
        """
        self.jobs = []
        recorded = [job for _, job in recorded_jobs(self.store, self.prefix)]
        # Those with faults last: a batch sent in their place may bring what they lack.
        for job in sorted(recorded, key=lambda job: bool(job.faults)):
            if all(map(self._cache.has, job.faults or job.addresses)):
                self._forget(job)  # a run was killed when it had kept everything
            elif job.faults:
                self.jobs.append(job)
            elif batch_id := job.batch_id or self.api.find(job.nonce):
                batch = self.api.retrieve(batch_id)
                if batch.status not in ENDED:
                    self.jobs.append(job)
                elif rest := self._finish(job, batch):
                    self.jobs.append(rest)
            else:
                self._forget(job)  # a run was killed before it sent the batch
        return sum(job.dollars for job in recorded if not job.faults)

    def send(self, texts: Sequence[str]) -> None:
        """Put texts into batches; those without a valid vector in an earlier one, once more.

        Raises
        ------
        EmbeddingError
            Texts were in `ROUNDS` batches and have no valid vector; the others are sent. They are
            forgotten here, so that the next run tries them again.
        """
        by_address = {text_sha256(text): text for text in texts}
        earlier = [job for job in self.jobs if job.faults.keys() & by_address.keys()]
        faults = {address: why for job in earlier for address, why in job.faults.items()}
        tried = {address: job.round for job in earlier for address in job.faults}
        for number in range(1, ROUNDS + 1):
            if chosen := {a: t for a, t in by_address.items() if tried.get(a, 0) == number - 1}:
                self._begin(chosen, number)
        for job in earlier:
            self._forget(job)
            self.jobs.remove(job)
        if hopeless := [address for address in by_address if tried.get(address, 0) >= ROUNDS]:
            listed = named([(by_address[address], faults[address]) for address in hopeless])
            raise EmbeddingError(
                f"{self.embedder.id}: {len(hopeless)} of {len(texts)} texts were answered badly in "
                f"{ROUNDS} batches and are not kept: {listed}"
            )

    def dollars_of(self, texts: Iterable[str]) -> float:
        """What a batch of these texts may cost."""
        tokens = sum(self.embedder.count_tokens(list(texts)))
        return tokens * self.embedder.dollars_per_million_tokens * self.price / MILLION

    def _begin(self, texts: Mapping[str, str], number: int) -> None:
        """Create a batch that is recorded before it exists."""
        job = Job(
            nonce=secrets.token_hex(12),
            addresses=tuple(texts),
            tokens=sum(self.embedder.count_tokens(list(texts.values()))),
            round=number,
            dollars=self.dollars_of(texts.values()),
            until=datetime.now(UTC).replace(microsecond=0) + WINDOW,
        )
        etag = self.store.put_if_match(self._key(job), job.body(), None)
        file_id = self.api.upload(texts)
        batch_id = self.api.create(file_id, job.nonce)
        created = job.model_copy(update={"batch_id": batch_id})
        self.store.put_if_match(self._key(job), created.body(), etag)
        self.jobs.append(created)

    def _finish(self, job: Job, batch: Batch) -> Job | None:
        """Store the valid vectors of a batch that ended; what is left of it if texts have none."""
        answers, failures, refusal = self.api.read(batch)
        good: dict[str, npt.NDArray[np.float32]] = {}
        faults = dict.fromkeys(job.addresses, "was not answered")
        usage: int | None = 0
        n_answers = 0
        for address, body in answers.items():
            if address not in faults:
                continue
            tokens = stated_usage(body, "prompt_tokens")
            usage = None if usage is None or tokens is None else usage + tokens
            n_answers += 1
            try:
                vectors_of, faults_of = read_answer(body, 1, self.embedder.declared)
            except RefusedEmbeddingError as error:
                refusal = error
                continue
            if fault := faults_of.get(0):
                faults[address] = fault
            else:
                good[address] = vectors_of[0]
                del faults[address]
        faults |= {address: why for address, why in failures.items() if address in faults}
        if n_answers:
            payment = Payment.made(
                self.embedder,
                usage,
                job.tokens,
                self.price,
                receipt_id=f"batch-{batch.id}",  # collected twice after a kill, it is one payment
                run_id=self.run_id,
                mode="batch",
                n_texts=len(good),
                n_requests=n_answers,
                n_unanswered=0,
            )
            vectors = np.array(list(good.values()), np.float32)
            self._keep(list(good), vectors.reshape(-1, self.embedder.dimensions), payment)
        if refusal or not faults:
            self._forget(job)
            if refusal:
                raise refusal
            return None
        rest = job.model_copy(update={"faults": faults})
        _, etag = self.store.get_with_etag(self._key(job))
        self.store.put_if_match(self._key(job), rest.body(), etag)
        return rest

    def _key(self, job: Job) -> str:
        return f"{self.prefix}{job.nonce}.json"

    def _forget(self, job: Job) -> None:
        self.store.delete([self._key(job)])


def recorded_jobs(store: ObjectStore, prefix: str) -> Iterator[tuple[str, Job]]:
    """The recorded batches below a prefix, with their keys."""
    for info in store.list(prefix):
        with suppress(MissingObjectError):  # collected since
            yield info.key, Job.parse(store.get(info.key), store.uri(info.key))


def require_collected(embedder: str, jobs: Iterable[Job], texts: Sequence[str]) -> None:
    """Refuse to embed texts that are in batches which were paid for and are not collected.

    Parameters
    ----------
    embedder
        Its id.
    jobs
        Recorded batches.
    texts
        Texts that are wanted.

    Raises
    ------
    PendingBatchesError
        Some texts are in such batches.
    """
    wanted = {text_sha256(text) for text in texts}
    if pending := [job for job in jobs if not job.faults and wanted & set(job.addresses)]:
        n_texts = len(wanted & {address for job in pending for address in job.addresses})
        until = max(job.until or datetime.now(UTC) + WINDOW for job in pending)
        raise PendingBatchesError(embedder, n_texts, len(pending), until)


def jobs_of(cache: VectorCache) -> list[Job]:
    """The recorded batches of an embedder.

    Parameters
    ----------
    cache
        The embedder's cache.

    Returns
    -------
    list of Job
        Those under way, and those whose texts go into another batch.
    """
    return [job for _, job in recorded_jobs(cache.store, _prefix(cache))]


def unfinished_batches(
    store: ObjectStore, product: str, open_embedder: Callable[[str], OpenAIEmbedder]
) -> list[Job]:
    """Ask each service which of its recorded batches it is still at work on.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.
    open_embedder
        Opens the embedder of an id.

    Returns
    -------
    list of Job
        Without those that have ended and can be collected.

    Raises
    ------
    EmbeddingError
        A service cannot be asked.
    """
    prefix = f"{product}/cache/batches/"
    unfinished = []
    for key, job in recorded_jobs(store, prefix):
        if job.batch_id and not job.faults:
            embedder = open_embedder(key.removeprefix(prefix).split("/")[0])
            with closing(embedder.client):
                if BatchApi(embedder).retrieve(job.batch_id).status not in ENDED:
                    unfinished.append(job)
    return unfinished


def _prefix(cache: VectorCache) -> str:
    return cache.prefix.replace("/cache/vectors/", "/cache/batches/", 1)
