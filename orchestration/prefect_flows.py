"""The Prefect flows for what is remote, slow or paid, and the worker that runs them.

A flow gets the id of an embedder and the key of a part of the lake. Everything else comes from the
settings of its own process, which may be on another machine. It keeps vectors and payments in the
store and publishes nothing. `orchestration.remote_embedding` launches the flows.

`genept worker` runs the flows. It needs the platform's settings and `PREFECT_API_URL`, with
`PREFECT_API_AUTH_STRING` for a server that requires a key.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from prefect import flow, get_client, task
from prefect.artifacts import create_table_artifact
from prefect.concurrency.sync import rate_limit
from prefect.futures import PrefectFuture, wait
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from genept.common import Settings
from genept.storage import get_table, open_store
from genept.text import (
    Budget,
    EmbedBatch,
    HostedEmbedders,
    HostedModel,
    PendingBatchesError,
    RateLimits,
    RefusedEmbeddingError,
    VectorCache,
    jobs_of,
)

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

NAME: Final = "genept"
"""The work pool and the deployments of the flows have this name."""

RETRY_DELAYS: Final[list[float]] = [1, 5, 30]

CRASH: Final = "genept: crash silent flow runs"

HEARTBEAT_SECONDS: Final = 30
"""How often a flow run says that it is alive; Prefect allows no less."""

SILENT_FOR: Final = timedelta(seconds=90)
"""A flow run that says nothing for so long has lost its process, and counts as crashed."""

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


FLOWS: Final = (embed_texts, collect_batches)


@contextmanager
def _paying(embedder_id: str, vectors: str) -> Iterator[Budget]:
    """The budget of a flow run; what it spent is reported however the run ends."""
    settings = Settings()
    hosted = HostedEmbedders.of(settings)
    embedder = hosted.open(embedder_id)
    cache = VectorCache(open_store(settings, "writer"), settings.product, embedder)
    if cache.prefix != vectors:
        raise RefusedEmbeddingError(
            f"{embedder_id}: this worker would keep its vectors in {cache.prefix}, and they are "
            f"expected in {vectors}: its settings (product, embedders, address of the service) "
            "are not those of Dagster's code server"
        )
    budget = Budget(
        embedder,
        cache,
        hosted.spending_limit,
        str(flow_run.id),
        print,
        ServicePace(embedder.declared),
    )
    try:
        with budget, suppress(PendingBatchesError):  # no failure: the texts are under way
            yield budget
    finally:
        spent = {
            "embedder": embedder_id,
            "texts": sum(payment.n_texts for payment in budget.payments),
            "requests": sum(payment.n_requests for payment in budget.payments),
            "tokens": sum(payment.tokens for payment in budget.payments),
            "dollars": round(sum(payment.dollars for payment in budget.payments), 6),
            "under way": sum(len(job.addresses) for job in jobs_of(cache) if not job.faults),
        }
        create_table_artifact([spent], f"spent-{embedder_id}".replace(".", "-"))


def _as_tasks(requests: Sequence[Sequence[str]], pay: EmbedBatch, at_once: int) -> None:
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
    return not isinstance(state.result(raise_on_failure=False), RefusedEmbeddingError)


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

    def __init__(self, declared: HostedModel) -> None:
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


def register() -> None:
    """Tell the server of the work pool, the deployments, and when a flow run counts as crashed."""
    from prefect.automations import Automation
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.client.schemas.objects import StateType
    from prefect.deployments.runner import RunnerDeployment
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification
    from prefect.types.entrypoint import EntrypointType
    from prefect.workers.process import ProcessWorker

    with get_client(sync_client=True) as client:
        template = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(
            WorkPoolCreate(name=NAME, type="process", base_job_template=template), overwrite=True
        )
        known = client.read_automations_by_name(CRASH)
    for declared in FLOWS:
        deployment = declared.to_deployment(
            NAME, work_pool_name=NAME, entrypoint_type=EntrypointType.MODULE_PATH
        )
        cast(RunnerDeployment, deployment).apply()  # no coroutine: nothing is awaited here
    if not known:
        ended = ("Completed", "Failed", "Cancelled", "Crashed")
        heartbeat = "prefect.flow-run.heartbeat"
        Automation(
            name=CRASH,
            trigger=EventTrigger(
                after={heartbeat},
                expect={heartbeat, *(f"prefect.flow-run.{state}" for state in ended)},
                match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
                for_each={"prefect.resource.id"},
                posture=Posture.Proactive,
                threshold=1,
                within=SILENT_FOR,
            ),
            actions=[ChangeFlowRunState(state=StateType.CRASHED, message="its process was lost")],
        ).create()


def work(name: str | None = None) -> None:
    """Register the flows, then run what is launched, until this process is interrupted.

    Parameters
    ----------
    name
        Of the worker; None: one that Prefect makes.
    """
    from prefect.workers.process import ProcessWorker

    os.environ |= Settings().environment()  # a flow run starts in a folder of its own
    os.environ["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] = str(HEARTBEAT_SECONDS)
    register()
    probed = "PREFECT_WORKER_WEBSERVER_PORT" in os.environ  # by Compose or Kubernetes
    asyncio.run(ProcessWorker(work_pool_name=NAME, name=name).start(with_healthcheck=probed))
