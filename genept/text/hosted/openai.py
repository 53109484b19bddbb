"""Text embedders behind OpenAI's protocol: requests, retries, and failures that name the texts.

Also which hosted embedders an installation may use. Packing and reading answers is
`genept.text.hosted.answers`; paying is `genept.text.hosted.budget`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import SecretStr
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from genept.common import Settings
from genept.storage import is_loopback, sha256_of
from genept.text.embedders import EmbeddingError, RefusedEmbeddingError, Space
from genept.text.hosted.answers import (
    UnreadableAnswerError,
    charged_tokens,
    explained,
    is_passing,
    named,
    packed_requests,
    parse_body,
    read_answer,
    was_sent,
)
from genept.text.hosted.hosted_models import OPENAI_URL, HostedModel, SpendingLimit, load_embedders
from genept.text.limits import TokenCounter
from genept.text.metered import EmbeddingAnswer, RateLimits

if TYPE_CHECKING:
    from openai import OpenAI

T = TypeVar("T")

ROUNDS: Final = 3
"""How often texts without a valid vector are requested in all."""


@dataclass(frozen=True)
class RequestPolicy:
    """How long to wait for a service, in seconds, and how often to try."""

    connect: float = 10.0
    read: float = 60.0
    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 60.0


@dataclass
class _Count:
    """What requests have taken so far; `tokens` is None once an answer did not say."""

    answered: int = 0
    unanswered: int = 0
    tokens: int | None = 0
    limits: RateLimits | None = None

    def answer(self, tokens: int | None) -> None:
        self.answered += 1
        self.tokens = None if tokens is None or self.tokens is None else self.tokens + tokens


class OpenAIEmbedder:
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

    def __init__(
        self,
        declared: HostedModel,
        api_key: SecretStr,
        base_url: str | None = None,
        retry_policy: RequestPolicy | None = None,
    ) -> None:
        self.declared, self.api_key = declared, api_key
        self.base_url = (declared.base_url or base_url or OPENAI_URL).rstrip("/")
        self.retry_policy = retry_policy or RequestPolicy()
        self.counter = TokenCounter(declared.encoding)
        self.id, self.dimensions = declared.id, declared.dimensions
        self.max_tokens: int | None = declared.max_tokens
        self.unit_norm = declared.unit_norm
        self.dollars_per_million_tokens = declared.dollars_per_million_tokens
        self.at_once, self.tokens_per_minute = declared.at_once, declared.tokens_per_minute
        # The address counts: another service may give the same name to other weights.
        self.identity = (
            f"{self.id}:model={declared.model}:dimensions={declared.dimensions}"
            f":service={sha256_of(self.base_url)[:16]}"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return OpenAIEmbedder, (self.declared, self.api_key, self.base_url, self.retry_policy)

    def __repr__(self) -> str:
        return f"OpenAIEmbedder({self.id!r} at {self.base_url})"

    @property
    def counted_by(self) -> str:
        """How tokens are counted."""
        return self.counter.basis

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, by `counted_by`."""
        return self.counter.count(texts)

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
        count = _Count()
        wanted = list(range(len(texts)))
        failure: EmbeddingError | None = None
        try:
            for _ in range(ROUNDS):
                request = [texts[row] for row in wanted]
                body = self.call(self._post, request, count, texts=request)
                count.answer(charged_tokens(body))  # charged for, whether it is any good or not
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

    @cached_property
    def client(self) -> OpenAI:
        """OpenAI's client: one attempt per call, and no proxy to the machine itself."""
        import httpx2
        from openai import DefaultHttpx2Client, OpenAI

        timeout = httpx2.Timeout(self.retry_policy.read, connect=self.retry_policy.connect)
        return OpenAI(
            api_key=self.api_key.get_secret_value(),
            base_url=self.base_url,
            timeout=timeout,
            max_retries=0,
            http_client=DefaultHttpx2Client(
                timeout=timeout, trust_env=not is_loopback(self.base_url)
            ),
        )

    def call(self, request: Callable[..., T], *arguments: Any, texts: Sequence[str] = ()) -> T:
        """Send a request, again after failures that pass. Raises `EmbeddingError`."""
        import openai

        policy = Retrying(
            retry=retry_if_exception(is_passing),
            stop=stop_after_attempt(self.retry_policy.attempts),
            wait=self.pause,
            reraise=True,
        )
        try:
            return policy(request, *arguments)
        except (UnreadableAnswerError, openai.OpenAIError) as error:
            failure = explained(error, self.id, self.base_url, self.api_key, texts)
        raise failure  # not above: its context would be the error that may hold the key

    def _post(self, texts: list[str], count: _Count) -> dict[str, Any]:
        import openai

        try:
            raw = self.client.embeddings.with_raw_response.create(
                model=self.declared.model,
                input=texts,
                encoding_format="base64",
                dimensions=self.declared.dimensions if self.declared.shortened else openai.omit,
            )
            answer = raw.http_response
            count.limits = RateLimits.stated(answer.headers)
            return parse_body(answer.content, answer.headers.get("content-type", ""))
        except (openai.APIConnectionError, UnreadableAnswerError) as error:
            count.unanswered += was_sent(error)
            raise

    def pause(self, state: RetryCallState) -> float:
        """Seconds to wait: as the service says, within limits; else doubling each time."""
        chance = wait_random_exponential(
            self.retry_policy.first_wait, self.retry_policy.longest_wait
        )
        error = state.outcome.exception() if state.outcome else None
        headers = getattr(getattr(error, "response", None), "headers", {})
        try:
            asked_for = max(0.0, float(headers.get("retry-after", 0)))
        except ValueError:
            asked_for = 0.0
        return min(max(asked_for, chance(state)), self.retry_policy.longest_wait)


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
            load_embedders(settings.embedders),
            settings.openai_api_key,
            settings.openai_base_url,
            SpendingLimit(settings.embedding_budget, settings.embedding_batch_api),
        )

    def unavailable(self, id_: str) -> str | None:
        """Why a hosted embedder cannot be used; none if it can, or is not a hosted one."""
        if id_ in self.declared and not (self.api_key and self.api_key.get_secret_value().strip()):
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
