"""Requests to the Batch API of a service, and how a batch is recorded in the store.

What is in a batch and what becomes of its answers is decided in `genept.text.hosted.batch_jobs`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import Field

from genept.storage import Document
from genept.text.embedders import EmbeddingError
from genept.text.hosted.service import OpenAIService, UnreadableAnswerError

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
        SHA-256 of its texts, or of its chats.
    tokens, dollars
        What it may cost, by our count.
    batch_id
        Its id on the service.
    round
        How many batches what is asked has been in, with this one.
    until
        When the service has to be done with it.
    faults
        Why what was asked has no valid answer, once it was collected: it goes into another batch.
    """

    nonce: str
    addresses: tuple[str, ...]
    tokens: int
    batch_id: str | None = None
    round: int = 1
    dollars: float = 0.0
    until: datetime | None = None
    faults: Mapping[str, str] = Field(default_factory=dict)


class PendingBatchesError(ValueError):
    """What was asked is in batches that the service has not finished: go on when it has.

    Parameters
    ----------
    model
        Id of the embedder or language model.
    n, n_batches
        How many texts or chats are under way, and in how many batches.
    until
        When the service has to be done with them.
    """

    what: ClassVar[str] = "texts"

    def __init__(self, model: str, n: int, n_batches: int, until: datetime) -> None:
        super().__init__(
            f"{model}: {n:,} {self.what} are in {n_batches} batches of the Batch API, which "
            f"the service finishes by {until:%Y-%m-%d %H:%M} UTC at the latest"
        )
        self.model, self.n, self.n_batches, self.until = model, n, n_batches, until


class PendingTextsError(PendingBatchesError, EmbeddingError):
    """Texts are in batches that the service has not finished."""


Endpoint = Literal["/v1/embeddings", "/v1/chat/completions"]


class BatchApi:
    """Batches of one model's service.

    Parameters
    ----------
    service
        Client of the service.
    """

    def __init__(self, service: OpenAIService) -> None:
        self.service = service

    def upload(self, requests: Mapping[str, Mapping[str, Any]], endpoint: Endpoint) -> str:
        """Upload bodies of requests by their `custom_id` as a JSONL file; its id."""
        lines = [
            {"custom_id": address, "method": "POST", "url": endpoint, "body": body}
            for address, body in requests.items()
        ]
        content = "\n".join(map(json.dumps, lines)).encode()
        files = self.service.client.files
        file = ("requests.jsonl", content)
        return self.service.call(lambda: files.create(file=file, purpose="batch")).id

    def create(self, file_id: str, nonce: str, endpoint: Endpoint) -> str:
        """Create a batch for the file, once: after a lost answer it is looked up."""
        batches = self.service.client.batches
        tried = False

        def once() -> str:
            nonlocal tried
            if tried and (batch_id := self.find(nonce)):
                return batch_id
            tried = True
            return batches.create(
                input_file_id=file_id,
                endpoint=endpoint,
                completion_window="24h",
                metadata={NONCE: nonce},
            ).id

        return self.service.call(once)

    def find(self, nonce: str) -> str | None:
        """Id of the batch that was created with `nonce`; none if there is none."""
        batches = self.service.client.batches

        def search() -> str | None:
            listed = batches.list(limit=100)
            ours = (batch.id for batch in listed if (batch.metadata or {}).get(NONCE) == nonce)
            return next(ours, None)

        return self.service.call(search)

    def retrieve(self, batch_id: str) -> Batch:
        """The batch as the service describes it now."""
        return self.service.call(self.service.client.batches.retrieve, batch_id)

    def read(
        self, batch: Batch
    ) -> tuple[dict[str, dict[str, Any]], dict[str, str], ValueError | None]:
        """Answers and failures of a batch that has ended, by `custom_id`; why it was refused.

        Raises `failed` or `refused` of the service if its files cannot be read.
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

    def _refusal(self, batch: Batch) -> ValueError | None:
        if batch.status != "failed":
            return None
        listed = batch.errors.data if batch.errors and batch.errors.data else []
        reasons = (
            "; ".join(f"{error.code}: {error.message}" for error in listed[:3]) or "no reason given"
        )
        return self.service.refused(
            f"{self.service.id}: the service refused batch {batch.id}: {reasons}"
        )

    def _lines(self, file_id: str) -> list[dict[str, Any]]:
        def read() -> list[dict[str, Any]]:
            content = self.service.client.files.content(file_id).content
            try:
                lines = [json.loads(line) for line in content.splitlines() if line.strip()]
                return [line for line in lines if isinstance(line.get("custom_id"), str)]
            except (ValueError, AttributeError) as error:
                raise UnreadableAnswerError(
                    f"file {file_id} is not whole JSON lines: {error}"
                ) from None

        return self.service.call(read)
