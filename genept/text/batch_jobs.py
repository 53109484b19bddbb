"""Texts embedded through the Batch API: half the price, and up to a day's wait.

A batch is recorded in the store, under the hashes of its texts, before it is created: after a kill
at any moment the next run collects what was paid for.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from genept.storage import Document
from genept.text.answers import UnreadableAnswerError, charged_tokens, named, read_answer
from genept.text.composition import text_sha256
from genept.text.embedders import EmbeddingError, RefusedEmbeddingError
from genept.text.openai import ROUNDS, OpenAIEmbedder
from genept.text.vector_cache import Payment, VectorCache

if TYPE_CHECKING:
    from openai.types import Batch

NONCE: Final = "genept_job"
ENDED: Final = ("completed", "expired", "cancelled", "failed")
POLLED_AT_MOST_EVERY: Final = 60.0

Keep = Callable[[Sequence[str], npt.NDArray[np.float32], Payment], None]


class BatchApi:
    """Batches of one embedder's service."""

    def __init__(self, embedder: OpenAIEmbedder, abandoned: threading.Event) -> None:
        self.embedder, self.abandoned = embedder, abandoned

    def upload(self, texts: Mapping[str, str]) -> str:
        """Upload texts by their `custom_id` as a JSONL file; its id."""
        declared = self.embedder.declared
        shortened = {"dimensions": declared.dimensions} if declared.shortened else {}
        lines = [
            {
                "custom_id": address,
                "method": "POST",
                "url": "/v1/embeddings",
                "body": {"model": declared.model, "input": text, "encoding_format": "base64"}
                | shortened,
            }
            for address, text in texts.items()
        ]
        content = "\n".join(map(json.dumps, lines)).encode()
        files = self.embedder.client.files
        file = ("texts.jsonl", content)
        return self.embedder.call(lambda: files.create(file=file, purpose="batch")).id

    def create(self, file_id: str, nonce: str) -> str:
        """Create a batch for the file, once: after a lost answer it is looked up."""
        batches = self.embedder.client.batches
        tried = False

        def once() -> str:
            nonlocal tried
            if tried and (batch_id := self.find(nonce)):
                return batch_id
            tried = True
            return batches.create(
                input_file_id=file_id,
                endpoint="/v1/embeddings",
                completion_window="24h",
                metadata={NONCE: nonce},
            ).id

        return self.embedder.call(once)

    def find(self, nonce: str) -> str | None:
        """Id of the batch that was created with `nonce`; none if there is none."""
        batches = self.embedder.client.batches

        def search() -> str | None:
            listed = batches.list(limit=100)
            ours = (batch.id for batch in listed if (batch.metadata or {}).get(NONCE) == nonce)
            return next(ours, None)

        return self.embedder.call(search)

    def wait(
        self, batch_id: str
    ) -> tuple[dict[str, dict[str, Any]], dict[str, str], RefusedEmbeddingError | None]:
        """Bodies of answers, messages of failures, both by `custom_id`; and why it was refused.

        Polls until the batch has ended. Raises `EmbeddingError` if the run was interrupted, or the
        output cannot be read.
        """
        pause = self.embedder.retry_policy.first_wait
        retrieve = partial(self.embedder.call, self.embedder.client.batches.retrieve, batch_id)
        while (batch := retrieve()).status not in ENDED:
            if self.abandoned.wait(pause):
                raise EmbeddingError(f"batch {batch_id} is left for the next run to collect")
            pause = min(pause * 1.5, POLLED_AT_MOST_EVERY)
        answers: dict[str, dict[str, Any]] = {}
        failures: dict[str, str] = {}
        for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
            for line in self._lines(file_id):
                response = line.get("response") or {}
                if response.get("status_code") == 200 and isinstance(response.get("body"), dict):
                    answers[line["custom_id"]] = response["body"]
                else:
                    error = line.get("error") or (response.get("body") or {}).get("error")
                    failures[line["custom_id"]] = f"failed: {json.dumps(error)[:200]}"
        return answers, failures, self._refusal(batch)

    def _refusal(self, batch: Batch) -> RefusedEmbeddingError | None:
        if batch.status != "failed":
            return None
        listed = batch.errors.data if batch.errors and batch.errors.data else []
        reasons = (
            "; ".join(f"{error.code}: {error.message}" for error in listed[:3]) or "no reason given"
        )
        return RefusedEmbeddingError(
            f"{self.embedder.id}: the service refused batch {batch.id}: {reasons}"
        )

    def _lines(self, file_id: str) -> list[dict[str, Any]]:
        def read() -> list[dict[str, Any]]:
            content = self.embedder.client.files.content(file_id).content
            try:
                lines = [json.loads(line) for line in content.splitlines() if line.strip()]
                return [line for line in lines if isinstance(line.get("custom_id"), str)]
            except (ValueError, AttributeError) as error:
                raise UnreadableAnswerError(
                    f"file {file_id} is not whole JSON lines: {error}"
                ) from None

        return self.embedder.call(read)


class Job(Document):
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
        self.api = BatchApi(embedder, abandoned)
        self._lock = threading.Lock()
        self._recalled: list[Job] = []

    def recall(self) -> None:
        """Find the batches that an earlier run left open."""
        for info in self.store.list(self.prefix):
            job = Job.parse(self.store.get(info.key), self.store.uri(info.key))
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
                if batch_id := job.batch_id or self.api.find(job.nonce):
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
        job = Job(nonce=secrets.token_hex(12), addresses=tuple(texts), tokens=tokens)
        etag = self.store.put_if_match(self._key(job), job.body(), None)
        file_id = self.api.upload(texts)
        batch_id = self.api.create(file_id, job.nonce)
        created = job.model_copy(update={"batch_id": batch_id})
        self.store.put_if_match(self._key(job), created.body(), etag)
        return job, batch_id

    def _finish(self, job: Job, batch_id: str) -> dict[str, str]:
        """Wait for a batch and store its valid vectors; return what is wrong with other texts."""
        answers, failures, refusal = self.api.wait(batch_id)
        good: dict[str, npt.NDArray[np.float32]] = {}
        faults = dict.fromkeys(job.addresses, "was not answered")
        usage: int | None = 0
        n_answers = 0
        for address, body in answers.items():
            if address not in faults:
                continue
            tokens = charged_tokens(body)
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
                receipt_id=f"batch-{batch_id}",  # collected twice after a kill, it is one payment
                run_id=self.run_id,
                mode="batch",
                n_texts=len(good),
                n_requests=n_answers,
                n_unanswered=0,
            )
            vectors = np.array(list(good.values()), np.float32)
            self._keep(list(good), vectors.reshape(-1, self.embedder.dimensions), payment)
        self._forget(job)
        if refusal:
            raise refusal
        return faults

    def _key(self, job: Job) -> str:
        return f"{self.prefix}{job.nonce}.json"

    def _forget(self, job: Job) -> None:
        self.store.delete([self._key(job)])
