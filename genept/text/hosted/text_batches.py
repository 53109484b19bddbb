"""Texts embedded through the Batch API, each by a request of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from genept.text.composition import text_sha256
from genept.text.hosted.answers import read_answer
from genept.text.hosted.batch_api import Job, PendingTextsError
from genept.text.hosted.batch_jobs import BatchJobs
from genept.text.hosted.openai import OpenAIEmbedder
from genept.text.vector_cache import Payment, VectorCache, Vectors


class TextBatches(BatchJobs[str, Vectors]):
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

    endpoint, pending = "/v1/embeddings", PendingTextsError

    def __init__(
        self,
        embedder: OpenAIEmbedder,
        cache: VectorCache,
        run_id: str,
        keep: Callable[[Mapping[str, Vectors], Payment], None],
    ) -> None:
        super().__init__(embedder, cache, run_id, keep)
        self.embedder = embedder

    @property
    def price(self) -> float:
        """Share of the full price that is paid."""
        return self.embedder.declared.batch_price

    def address(self, item: str) -> str:
        """SHA-256 of a text."""
        return text_sha256(item)

    def shown(self, item: str) -> str:
        """The text."""
        return item

    def requests(self, items: Sequence[str]) -> list[dict[str, Any]]:
        """A request for each text."""
        declared = self.embedder.declared
        asked = {"model": declared.model, "encoding_format": "base64"}
        shortened = {"dimensions": declared.dimensions} if declared.shortened else {}
        return [asked | {"input": text} | shortened for text in declared.prefixed(items)]

    def count(self, items: Sequence[str]) -> tuple[int, int]:
        """Tokens of the texts; nothing is written."""
        return sum(self.embedder.count_tokens(items)), 0

    def read(
        self, body: dict[str, Any], _job: Job, /
    ) -> tuple[npt.NDArray[np.float32] | None, str, int]:
        """The vector of an answer."""
        vectors, faults = read_answer(body, 1, self.embedder.declared)
        return vectors.get(0), faults.get(0, ""), 0
