"""A language model as an embedder: its last layer's states of a text, pooled, by llama.cpp.

The engine (extra `llm`) runs in this process, on one thread, so that the same text gets the same
vector; it opens a port of loopback with a random key, and is started by the first text. Chats with
such a model are `genept.language_models`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genept.common import breakage_refused
from genept.text.embedders import EmbeddingError, UnusableModelError
from genept.text.local.local_models import LocalModel

PACKAGE: Final = "xllamacpp"
REMEDY: Final = "pip install 'genept-platform[llm]'"
POOLINGS: Final = {"mean": "MEAN", "last": "LAST", "none": "NONE"}
TIMEOUT: Final = 60.0


def missing_extra() -> str | None:
    """Say what a language model lacks on this machine.

    Returns
    -------
    str or None
        What to install; None if nothing is missing.
    """
    if find_spec(PACKAGE) is None:
        return f"runs on this machine by {PACKAGE}, which is not installed: {REMEDY}"
    return None


class Engine:
    """llama.cpp in this process, with one model.

    Parameters
    ----------
    weights
        GGUF file.
    pooling
        ``mean`` or ``last``; ``none``: a vector of each token, which only `url` gives.
    max_tokens
        Longest text.
    """

    def __init__(self, weights: Path, pooling: str, max_tokens: int) -> None:
        import xllamacpp

        self.key = secrets.token_urlsafe(32)
        options = xllamacpp.CommonParams()
        options.model.path = str(weights)
        options.embedding = True
        name = f"LLAMA_POOLING_TYPE_{POOLINGS[pooling]}"
        options.pooling_type = getattr(xllamacpp.llama_pooling_type, name)
        options.embd_normalize = -1  # vectors are scaled here
        options.n_ctx = options.n_batch = options.n_ubatch = max_tokens
        options.n_parallel = 1  # a vector does not depend on the texts beside it
        options.cpuparams.n_threads = options.cpuparams_batch.n_threads = 1
        options.api_keys = [self.key]
        options.hostnames = ["127.0.0.1"]
        options.port = 0
        options.cache_prompt = options.warmup = options.ui = options.endpoint_slots = False
        options.verbosity = 0
        self._server = xllamacpp.Server(options)

    @property
    def url(self) -> str:
        """Its address on loopback; requests need `key`."""
        return str(self._server.listening_address)

    def states(self, texts: Sequence[str | list[int]]) -> npt.NDArray[np.float64]:
        """Pooled states of texts or lists of tokens, in order; `EmbeddingError` if it refuses."""
        answer = self._server.handle_embeddings({"model": "", "input": list(texts)})
        if "error" in answer:
            raise EmbeddingError(str(answer["error"].get("message", answer["error"])))
        rows = sorted(answer["data"], key=lambda row: int(row["index"]))
        return np.array([row["embedding"] for row in rows], dtype=np.float64)

    def tokens(self, text: str) -> list[int]:
        """Tokens of a text, as the model reads it."""
        return [int(token) for token in self.post("/tokenize", content=text)["tokens"]]

    def post(self, path: str, **body: Any) -> Any:
        """Ask the engine what it answers on its port only."""
        import httpx

        headers = {"Authorization": f"Bearer {self.key}"}
        answer = httpx.post(self.url + path, json=body, headers=headers, timeout=TIMEOUT)
        return answer.raise_for_status().json()


class LanguageModelEmbedder:
    """Embeds texts with a language model; make it with `open_local_model`.

    Parameters
    ----------
    model
        Its declaration.
    weights
        Has the GGUF file ready; called when the first text is embedded.
    weights_sha256
        SHA-256 of that file.
    minutes
        How long it may embed the genes of one space, at the declared speed.
    """

    dollars_per_million_tokens = 0.0
    texts_at_once = 16

    def __init__(
        self, model: LocalModel, weights: Callable[[], Path], weights_sha256: str, minutes: float
    ) -> None:
        if why := missing_extra():
            raise UnusableModelError(f"{model.id} {why}")
        assert model.dimensions  # noqa: S101 - else it is no declaration
        assert model.max_tokens  # noqa: S101
        self.model, self.id, self._weights = model, model.id, weights
        self.dimensions, self._longest = model.dimensions, model.max_tokens
        self.max_tokens: int | None = model.max_tokens
        self.unit_norm = model.normalised
        self.tokens_per_space = model.tokens_in(minutes)
        # The engine's version is left out: its rounding is no reason to embed anew.
        self.identity = (
            f"{model.id}:weights={weights_sha256}:language_model:pooling={model.pooling}"
            f":max_tokens={model.max_tokens}:dimensions={self.dimensions}"
            f":unit_norm={model.normalised}"
        )

    @cached_property
    def engine(self) -> Engine:
        """Its engine, which is started now."""
        weights = self._weights()
        with breakage_refused(f"{self.model.weights} of {self.id}"):
            return Engine(weights, self.model.pooling, self._longest)

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed `texts`: shape (len(texts), dimensions), in input order.

        Raises
        ------
        EmbeddingError
            If a text is empty, or the model has fewer dimensions than declared.
        """
        for row, text in enumerate(texts):
            if not text.strip():
                raise EmbeddingError(
                    f"text {row} is empty: {text!r}; leave it out and account for it"
                )
        if not texts:
            return np.empty((0, self.dimensions), dtype=np.float32)
        vectors = self.engine.states([self._cut(text) for text in texts])
        if vectors.shape[1] < self.dimensions:
            raise UnusableModelError(
                f"{self.id} has vectors of {vectors.shape[1]} dimensions, and {self.dimensions} "
                "are declared"
            )
        vectors = vectors[:, : self.dimensions]
        if self.unit_norm:
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors.astype(np.float32)

    def _cut(self, text: str) -> str | list[int]:
        """The text, or its first tokens if it is too long; a token has a byte at least."""
        if len(text.encode()) < self._longest:
            return text
        return self.engine.tokens(text)[: self._longest]
