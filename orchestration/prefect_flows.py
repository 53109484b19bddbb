"""The Prefect flows for what is remote, slow or paid.

A flow gets the id of an embedder or language model and the key of an object with what it is asked.
Everything else comes from the settings of its own process, which may be on another machine. It
keeps vectors, replies and payments in the store and publishes nothing.
`orchestration.remote_embedding` launches the flows, and `orchestration.prefect_worker` runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

from prefect import flow, get_client, task
from prefect.artifacts import create_table_artifact
from prefect.concurrency.sync import rate_limit
from prefect.futures import PrefectFuture, wait
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from genept.common import Settings, StoreError
from genept.language_models import ChatBudget, LanguageModels, RefusedChatError, get_chats
from genept.storage import get_table, open_store
from genept.text import (
    Budget,
    HostedEmbedders,
    Payment,
    PendingBatchesError,
    RateLimits,
    RefusedEmbeddingError,
    VectorCache,
)
from genept.text.hosted import addresses_under_way, jobs_of

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

NAME: Final = "genept"
"""The work pool and the deployments of the flows have this name."""

T = TypeVar("T")
REFUSED: Final = (RefusedEmbeddingError, RefusedChatError)

RETRY_DELAYS: Final[list[float]] = [1, 5, 30]

PARTS: Final = 10
"""A tenth of a minute's allowance may be used at once; the rest is spread over the minute."""


@flow(name="embed-texts")
def embed_texts(embedder: str, vectors: str, part: str) -> None:
    """Embed the texts of a part of the lake that have no vector yet.

    Parameters
    ----------
    embedder
        Id of a hosted embedder.
    vectors
        Where its vectors are expected: prefix of keys in the bucket.
    part
        Key of a parquet file in the bucket, with a column `text`.
    """
    with _paying(embedder, vectors) as budget:
        texts = get_table(budget.cache.store, part, "run again: its step makes it anew")["text"]
        budget.pay_all(texts.to_pylist(), _as_tasks)


@flow(name="collect-batches")
def collect_batches(embedder: str, vectors: str) -> None:
    """Store the vectors of the batches that the service has finished.

    Parameters
    ----------
    embedder, vectors
        As in `embed_texts`.
    """
    with _paying(embedder, vectors):
        pass  # opening the budget collects them


@flow(name="complete-chats")
def complete_chats(model: str, answers: str, chats: str) -> None:
    """Complete the chats of a list that have no outcome yet, by requests, or send them as batches.

    What the service has finished of earlier batches is stored first.

    Parameters
    ----------
    model
        Id of a hosted language model.
    answers
        Where its replies are expected: prefix of keys in the bucket.
    chats
        Key of the list of chats in the bucket.
    """
    settings = Settings()
    models = LanguageModels(settings)
    with models.open(model) as service:
        cache = models.cache(service, open_store(settings, "writer"))
        _require_place(model, cache.prefix, answers)
        pace, limit = ServicePace(service.declared), models.batch_limit
        budget = ChatBudget(service, cache, limit, str(flow_run.id), print, pace)
        with _reported(budget, model, "model", "chats"):
            budget.pay_all(get_chats(cache.store, chats), _as_tasks)


FLOWS: Final = (embed_texts, collect_batches, complete_chats)


@contextmanager
def _paying(embedder_id: str, vectors: str) -> Iterator[Budget]:
    """The budget of a flow run that embeds texts."""
    settings = Settings()
    hosted = HostedEmbedders.of(settings)
    embedder = hosted.open(embedder_id)
    cache = VectorCache(open_store(settings, "writer"), settings.product, embedder)
    _require_place(embedder_id, cache.prefix, vectors)
    pace, limit = ServicePace(embedder.declared), hosted.spending_limit
    budget = Budget(embedder, cache, limit, str(flow_run.id), print, pace)
    with _reported(budget, embedder_id, "embedder", "texts"):
        yield budget


@contextmanager
def _reported(budget: Budget | ChatBudget, id_: str, payer: str, what: str) -> Iterator[None]:
    """The opened budget; what it spent is reported however the flow run ends."""
    try:
        with budget, suppress(PendingBatchesError):  # no failure: it is under way
            yield
    finally:
        under_way = len(addresses_under_way(jobs_of(budget.cache)))
        _report_spent(id_, budget.payments, payer, what, under_way)


def _require_place(id_: str, place: str, expected: str) -> None:
    if place != expected:
        raise StoreError(
            f"{id_}: this worker would keep what it is answered in {place}, and that is "
            f"expected in {expected}: its settings (product, declarations, address of the service) "
            "are not those of Dagster's code server"
        )


def _report_spent(
    id_: str, payments: Sequence[Payment], payer: str, what: str, under_way: int
) -> None:
    spent: dict[str, Any] = {
        payer: id_,
        what: sum(payment.n_texts for payment in payments),
        "requests": sum(payment.n_requests for payment in payments),
        "tokens": sum(payment.tokens for payment in payments),
        "dollars": round(sum(payment.dollars for payment in payments), 6),
        "under way": under_way,
    }
    if payer == "model":
        spent["output tokens"] = sum(payment.output_tokens for payment in payments)
    create_table_artifact([spent], f"spent-{id_}".replace(".", "-"))


def _as_tasks(requests: Sequence[T], pay: Callable[[T], None], at_once: int) -> None:
    """Run requests as tasks of this flow run, each tried again with backoff."""

    @task(
        retries=len(RETRY_DELAYS),
        retry_delay_seconds=RETRY_DELAYS,
        retry_jitter_factor=0.5,
        retry_condition_fn=_is_worth_retrying,
    )
    def request(number: int) -> None:
        pay(requests[number])

    runner: ThreadPoolTaskRunner[Any]
    with ThreadPoolTaskRunner(max_workers=at_once) as runner:
        under_way: list[PrefectFuture[Any]] = [
            runner.submit(
                cast(Any, request).with_options(name=f"request-{number + 1}-of-{len(requests)}"),
                {"number": number},
            )
            for number in range(len(requests))
        ]
        wait(under_way)  # when it is interrupted, the runner waits for its threads
        for future in under_way:
            future.result()


def _is_worth_retrying(_task: object, _run: object, state: State[Any]) -> bool:
    """Whether a retry may succeed: not after a spent budget, a refused key or another model."""
    return not isinstance(state.result(raise_on_failure=False), REFUSED)


class Paced(Protocol):
    """What a service allows for one of its models in a minute."""

    @property
    def id(self) -> str:
        """Of the model."""

    @property
    def requests_per_minute(self) -> int:
        """Requests."""

    @property
    def tokens_per_minute(self) -> int:
        """Tokens."""


class ServicePace:
    """Prefect's rate limits of a model, shared by every flow run of the server.

    A limit is a bucket: a tenth of a minute's allowance at once, and nine tenths in every minute,
    so that no minute has more than is allowed. The declaration says how much; if the service's own
    headers say less, that counts.

    Parameters
    ----------
    declared
        The model.
    """

    def __init__(self, declared: Paced) -> None:
        self._declared = declared
        self._limits: dict[str, int] = {}
        self.adapt(RateLimits(None, None))

    def wait(self, tokens: int) -> None:
        """Wait until a request of so many tokens may be sent."""
        for (name, limit), needed in zip(self._limits.items(), (1, tokens), strict=True):
            bucket = _bucket(limit)
            for taken in range(0, needed, bucket):
                rate_limit(name, occupy=min(bucket, needed - taken), strict=True)

    def adapt(self, stated: RateLimits) -> None:
        """Lower the limits to what the service says that it allows."""
        declared = self._declared
        per_minute = {
            "requests": (declared.requests_per_minute, stated.requests),
            "tokens": (declared.tokens_per_minute, stated.tokens),
        }
        limits = {
            f"{declared.id}-{unit}": min(own, theirs or own)
            for unit, (own, theirs) in per_minute.items()
        }
        if limits == self._limits:
            return
        with get_client(sync_client=True) as client:
            for name, limit in limits.items():
                bucket = _bucket(limit)
                client.upsert_global_concurrency_limit_by_name(
                    name, bucket, max(limit - bucket, limit / 2) / 60
                )
        self._limits = limits


def _bucket(per_minute: int) -> int:
    return max(1, per_minute // PARTS)
