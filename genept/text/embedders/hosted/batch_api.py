"""The Batch API: upload, create once, poll, read output and errors.

Which texts a batch holds, and what becomes of its answers, is
`genept.text.embedders.hosted.batch_jobs`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt

from genept.text.embedders.embedder import EmbeddingError, RefusedEmbeddingError
from genept.text.embedders.hosted.answers import UnreadableAnswerError, explained, is_passing
from genept.text.embedders.hosted.openai import OpenAIEmbedder

if TYPE_CHECKING:
    from openai.types import Batch

NONCE: Final = "genept_job"
ENDED: Final = ("completed", "expired", "cancelled", "failed")
POLLED_AT_MOST_EVERY: Final = 60.0
T = TypeVar("T")


@dataclass(frozen=True)
class BatchOutcome:
    """Result of a batch: bodies of answers and messages of failures, by `custom_id`."""

    answers: Mapping[str, dict[str, Any]]
    failures: Mapping[str, str]
    refusal: RefusedEmbeddingError | None


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
        return self._try(lambda: files.create(file=("texts.jsonl", content), purpose="batch")).id

    def create(self, file_id: str, nonce: str) -> str:
        """Create a batch for the file, once: after a lost answer it is looked up."""
        batches = self.embedder.client.batches
        tried = False

        def once() -> str:
            nonlocal tried
            if tried and (found := self.find(nonce)):
                return found
            tried = True
            return batches.create(
                input_file_id=file_id,
                endpoint="/v1/embeddings",
                completion_window="24h",
                metadata={NONCE: nonce},
            ).id

        return self._try(once)

    def find(self, nonce: str) -> str | None:
        """Id of the batch that was created with `nonce`; none if there is none."""
        batches = self.embedder.client.batches

        def search() -> str | None:
            for batch in batches.list(limit=100):
                if (batch.metadata or {}).get(NONCE) == nonce:
                    return batch.id
            return None

        return self._try(search)

    def wait(self, batch_id: str) -> BatchOutcome:
        """Poll until the batch has ended, and read its output.

        Raises
        ------
        EmbeddingError
            The run was interrupted, or the output cannot be read.
        """
        pause = self.embedder.retry_policy.first_wait
        while (batch := self._retrieve(batch_id)).status not in ENDED:
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
        return BatchOutcome(answers, failures, self._refusal(batch))

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

    def _retrieve(self, batch_id: str) -> Batch:
        return self._try(lambda: self.embedder.client.batches.retrieve(batch_id))

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

        return self._try(read)

    def _try(self, call: Callable[[], T]) -> T:
        """Call with retries for failures that may pass."""
        import openai

        embedder = self.embedder
        policy = Retrying(
            retry=retry_if_exception(is_passing),
            stop=stop_after_attempt(embedder.retry_policy.attempts),
            wait=embedder.pause,
            reraise=True,
        )
        try:
            return policy(call)
        except (openai.OpenAIError, UnreadableAnswerError) as error:
            raise explained(error, embedder.id, embedder.base_url, embedder.api_key) from None
