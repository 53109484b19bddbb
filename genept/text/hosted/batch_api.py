"""Requests to the Batch API of an embedder's service, and how a batch is recorded in the store.

What is in a batch and what becomes of its answers is decided in `genept.text.hosted.batch_jobs`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from genept.storage import Document
from genept.text.embedders import EmbeddingError, RefusedEmbeddingError
from genept.text.hosted.openai import OpenAIEmbedder
from genept.text.hosted.service import UnreadableAnswerError

if TYPE_CHECKING:
    from openai.types import Batch

NONCE: Final = "genept_job"
ENDED: Final = ("completed", "expired", "cancelled", "failed")


class Job(Document):
    """A batch that was created, or is about to be: then it has no `batch_id` yet.

    Parameters
    ----------
    nonce
        Its mark on the service.
    addresses
        SHA-256 of its texts.
    tokens, dollars
        What it may cost, by our count.
    batch_id
        Its id on the service.
    round
        How many batches its texts have been in, with this one.
    until
        When the service has to be done with it.
    faults
        Why texts have no valid vector, once it was collected: they go into another batch.
    """

    nonce: str
    addresses: tuple[str, ...]
    tokens: int
    batch_id: str | None = None
    round: int = 1
    dollars: float = 0.0
    until: datetime | None = None
    faults: Mapping[str, str] = Field(default_factory=dict)


class PendingBatchesError(EmbeddingError):
    """Texts are in batches that the service has not finished: go on when it has.

    Parameters
    ----------
    embedder
        Its id.
    n_texts, n_batches
        How many are under way.
    until
        When the service has to be done with them.
    """

    def __init__(self, embedder: str, n_texts: int, n_batches: int, until: datetime) -> None:
        super().__init__(
            f"{embedder}: {n_texts:,} texts are in {n_batches} batches of the Batch API, which "
            f"the service finishes by {until:%Y-%m-%d %H:%M} UTC at the latest"
        )
        self.embedder, self.n_texts, self.n_batches = embedder, n_texts, n_batches
        self.until = until


class BatchApi:
    """Batches of one embedder's service."""

    def __init__(self, embedder: OpenAIEmbedder) -> None:
        self.embedder = embedder

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
            for address, text in zip(texts, declared.prefixed([*texts.values()]), strict=True)
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

    def retrieve(self, batch_id: str) -> Batch:
        """The batch as the service describes it now."""
        return self.embedder.call(self.embedder.client.batches.retrieve, batch_id)

    def read(
        self, batch: Batch
    ) -> tuple[dict[str, dict[str, Any]], dict[str, str], RefusedEmbeddingError | None]:
        """Answers and failures of a batch that has ended, by `custom_id`; why it was refused.

        Raises `EmbeddingError` if its files cannot be read.
        """
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
