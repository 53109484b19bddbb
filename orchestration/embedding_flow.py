"""The Prefect flow that embeds texts: each batch is a task, retried with backoff.

Prefect runs this one durable loop and nothing else. What a batch is, how fast a service may
be called, and that vectors are stored before the next request, is decided in `genept.text`;
so a run that is killed here resumes with the texts that are still missing. The flow is only
started when there is something to embed.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genept.common import console
from genept.text import EmbedBatch, RefusedEmbeddingError, Runner

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

RETRY_DELAYS: list[float] = [1, 5, 30]
SERVER_STARTUP_SECONDS = 180


def prefect_runner(home: Path) -> Runner:
    """A runner that has the batches embedded by tasks of a Prefect flow.

    Without `PREFECT_API_URL`, Prefect starts a server process of its own for the length of
    the flow, which takes up to half a minute the first time. It listens on loopback and requires
    a key that only this process and the server know.

    Parameters
    ----------
    home
        Where Prefect keeps its database; the user's own stays as it is.
    """
    return partial(_run, home)


def _run(
    home: Path,
    batches: Sequence[Sequence[str]],
    embed_batch: EmbedBatch,
    at_once: int,
    interrupted: threading.Event,
) -> None:
    os.environ.setdefault("PREFECT_HOME", str(home))
    if "PREFECT_API_URL" not in os.environ and os.environ["PREFECT_HOME"] == str(home):
        _set_server_key()
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault(
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", str(SERVER_STARTUP_SECONDS)
    )
    n_texts = sum(map(len, batches))
    console.print(
        f"  embedding {n_texts:,} texts, minutes for a new space (Prefect flow embed-texts)"
    )
    from prefect import flow, task
    from prefect.futures import wait
    from prefect.task_runners import ThreadPoolTaskRunner

    @task(
        retries=len(RETRY_DELAYS),
        retry_delay_seconds=RETRY_DELAYS,
        retry_jitter_factor=0.5,
        retry_condition_fn=_is_worth_retrying,
    )
    def batch(number: int) -> None:
        embed_batch(batches[number])

    @flow(
        name="embed-texts",
        log_prints=False,
        task_runner=ThreadPoolTaskRunner(max_workers=at_once),  # type: ignore[arg-type]
    )
    def embed_texts(n_batches: int) -> None:
        under_way = [
            batch.with_options(name=f"batch-{number + 1}-of-{n_batches}").submit(number)
            for number in range(n_batches)
        ]
        try:
            wait(under_way)
        except BaseException:
            interrupted.set()  # the task runner waits for its threads before this is raised
            raise
        for future in under_way:
            future.result()

    embed_texts(len(batches))


def _set_server_key() -> None:
    """Set the key of a server that Prefect starts, and of its client; call before the import."""
    os.environ.setdefault("PREFECT_API_AUTH_STRING", f"genept:{secrets.token_urlsafe(32)}")
    os.environ.setdefault("PREFECT_SERVER_API_AUTH_STRING", os.environ["PREFECT_API_AUTH_STRING"])


def _is_worth_retrying(_task: object, _run: object, state: State[Any]) -> bool:
    """Whether a retry may succeed: not after a spent budget, a refused key or another model."""
    return not isinstance(state.result(raise_on_failure=False), RefusedEmbeddingError)
