"""Text embedders behind OpenAI's protocol: requests, and failures that name the texts.

Also which hosted embedders an installation may use. Packing and reading answers is
`genept.text.hosted.answers`; retries are `genept.text.hosted.service`; paying is
`genept.text.hosted.budget`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import SecretStr

from genept.common import Settings
from genept.storage import sha256_of
from genept.text.embedder_entries import embedder_files
from genept.text.embedders import EmbeddingError, RefusedEmbeddingError, Space
from genept.text.hosted.answers import packed_requests, read_answer
from genept.text.hosted.hosted_models import HostedModel, SpendingLimit, load_embedders
from genept.text.hosted.service import (
    ROUNDS,
    OpenAIService,
    RequestCount,
    RequestPolicy,
    named,
    stated_usage,
)
from genept.text.limits import TokenCounter
from genept.text.metered import EmbeddingAnswer


class OpenAIEmbedder(OpenAIService):
    """A hosted model. No connection is opened before the first request; it can be pickled.

    Parameters
    ----------
    declared
        The model.
    api_key
        Never logged, and not part of `identity`.
    base_url
        The service, if the declaration names none.
    retry_policy
        Waits and attempts; None: the defaults.
    """

    failed, refused = EmbeddingError, RefusedEmbeddingError

    def __init__(
        self,
        declared: HostedModel,
        api_key: SecretStr,
        base_url: str | None = None,
        retry_policy: RequestPolicy | None = None,
    ) -> None:
        super().__init__(declared.id, api_key, declared.base_url or base_url, retry_policy)
        self.declared = declared
        self.counter = TokenCounter(declared.encoding, declared.tokenizer)
        self.dimensions = declared.dimensions
        self.max_tokens: int | None = declared.max_tokens
        self.unit_norm = declared.unit_norm
        self.dollars_per_million_tokens = declared.dollars_per_million_tokens
        self.at_once, self.tokens_per_minute = declared.at_once, declared.tokens_per_minute
        # The address counts: another service may give the same name to other weights.
        self.identity = (
            f"{self.id}:model={declared.model}:dimensions={declared.dimensions}"
            f":service={sha256_of(self.base_url)[:16]}"
        )
        if declared.passage_prefix:
            self.identity += f":prefix={sha256_of(declared.passage_prefix)[:16]}"

    def __reduce__(self) -> tuple[Any, ...]:
        return OpenAIEmbedder, (self.declared, self.api_key, self.base_url, self.retry_policy)

    @property
    def counted_by(self) -> str:
        """How tokens are counted."""
        return self.counter.basis

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, by `counted_by`."""
        return self.counter.count(self.declared.prefixed(texts))

    def for_queries(self) -> OpenAIEmbedder:
        """The same model for queries, whose vectors are kept apart if their prefix is another."""
        if self.declared.query_prefix == self.declared.passage_prefix:
            return self
        declared = self.declared.model_copy(update={"passage_prefix": self.declared.query_prefix})
        return OpenAIEmbedder(declared, self.api_key, self.base_url, self.retry_policy)

    def pack(self, texts: Sequence[str]) -> list[list[str]]:
        """Texts as requests that the service accepts; see `packed_requests`."""
        counts = self.count_tokens(texts)
        return packed_requests(texts, counts, self.declared, is_exact=self.counter.is_exact)

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed texts without a cache: vectors, in order. Raises `EmbeddingError` by name."""
        vectors: dict[str, npt.NDArray[np.float32]] = {}
        for request in self.pack(list(dict.fromkeys(texts))):
            answer = self.ask(request)
            if answer.failure:
                raise answer.failure
            vectors |= zip(answer.texts, answer.vectors, strict=True)
        return np.array([vectors[text] for text in texts], np.float32).reshape(-1, self.dimensions)

    def ask(self, texts: Sequence[str]) -> EmbeddingAnswer:
        """Embed the texts of one request, and again those without a valid vector.

        Valid vectors are returned even if the rest failed: they were paid for.
        """
        good: dict[int, npt.NDArray[np.float32]] = {}
        count = RequestCount()
        wanted = list(range(len(texts)))
        failure: EmbeddingError | None = None
        try:
            for _ in range(ROUNDS):
                request = [texts[row] for row in wanted]
                body = self.call(self._post, request, count, texts=request)
                count.answer(stated_usage(body, "prompt_tokens"))  # charged, good or not
                vectors_of, faults_of = read_answer(body, len(request), self.declared)
                good |= {wanted[row]: vector for row, vector in vectors_of.items()}
                faults = {wanted[row]: why for row, why in faults_of.items()}
                wanted = sorted(faults)
                if not wanted:
                    break
            else:
                listed = named([(texts[row], faults[row]) for row in wanted])
                failure = EmbeddingError(
                    f"{self.id}: {len(wanted)} of {len(texts)} texts were answered badly {ROUNDS} "
                    f"times and are not kept: {listed}"
                )
        except EmbeddingError as error:
            failure = error
        rows = sorted(good)
        vectors = np.array([good[row] for row in rows], np.float32).reshape(-1, self.dimensions)
        return EmbeddingAnswer(
            tuple(texts[row] for row in rows),
            vectors,
            count.tokens,
            count.answered,
            count.unanswered,
            failure,
            count.limits,
        )

    def _post(self, texts: list[str], count: RequestCount) -> dict[str, Any]:
        import openai

        create = partial(
            self.client.embeddings.with_raw_response.create,
            model=self.declared.model,
            input=self.declared.prefixed(texts),
            encoding_format="base64",
            dimensions=self.declared.dimensions if self.declared.shortened else openai.omit,
        )
        return self.post(create, count)


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
        """Read shipped and own declarations, and what may be spent, from the settings."""
        return cls(
            load_embedders(*embedder_files(settings)),
            settings.openai_api_key,
            settings.openai_base_url,
            SpendingLimit(settings.embedding_budget, settings.embedding_batch_api),
        )

    def unavailable(self, id_: str) -> str | None:
        """Why a hosted embedder cannot be used; none if it can, or is not a hosted one."""
        if id_ not in self.declared:
            return None
        model = self.declared[id_]
        if model.own_server and not model.base_url:
            return (
                f"{id_} needs an OpenAI-compatible server that runs {model.repository}: declare "
                f'its address, [embedders."{id_}"] with `base_url`, in a file that '
                "GENEPT_EMBEDDERS names"
            )
        if not (self.api_key and self.api_key.get_secret_value().strip()):
            return f"{id_} is a hosted embedder and there is no key: set GENEPT_OPENAI_API_KEY"
        return None

    def open(self, id_: str) -> OpenAIEmbedder:
        """Open a declared model; nothing is sent yet. Refused if there is no key."""
        if id_ not in self.declared:
            raise RefusedEmbeddingError(f"{id_} is not declared: see GENEPT_EMBEDDERS")
        if (why := self.unavailable(id_)) or self.api_key is None:
            raise RefusedEmbeddingError(str(why))
        return OpenAIEmbedder(self.declared[id_], self.api_key, self.base_url)

    def price(self, embedder: OpenAIEmbedder) -> float:
        """Share of the full price that is paid: below 1 for the Batch API."""
        return embedder.declared.batch_price if self.spending_limit.batch_api else 1.0

    def spaces(self, recipes: Iterable[str]) -> list[Space]:
        """Every recipe embedded by every hosted embedder; built only if named in the settings."""
        return [Space(id_, recipe) for id_ in self.declared for recipe in recipes]
