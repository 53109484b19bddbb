"""The Prefect flow that embeds texts: each batch a task, tried again with backoff.

Prefect owns this one durable loop and nothing else. What a batch is, and that it
is kept before the next is asked for, is decided in `genept.text.embedding`; so a
run that is killed here resumes with the texts that are still missing. The flow is
only started when there is something to embed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from genept.console import console
from genept.text.embedding import EmbedBatch, Runner

RETRY_DELAYS = [1, 5, 30]
SERVER_STARTUP_SECONDS = 180


def prefect_runner(home: Path) -> Runner:
    """A runner that has the batches embedded by tasks of a Prefect flow.

    Without `PREFECT_API_URL`, Prefect starts a server process of its own for the length of
    the flow, which takes up to half a minute the first time.

    Parameters
    ----------
    home
        Where Prefect keeps its database; the user's own stays as it is.
    """
    return partial(_run, home)


def _run(home: Path, batches: Sequence[Sequence[str]], embed_batch: EmbedBatch) -> None:
    os.environ.setdefault("PREFECT_HOME", str(home))
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

    @task(retries=len(RETRY_DELAYS), retry_delay_seconds=RETRY_DELAYS, retry_jitter_factor=0.5)
    def batch(number: int) -> None:
        embed_batch(batches[number])

    @flow(name="embed-texts", log_prints=False)
    def embed_texts(n_batches: int) -> None:
        for number in range(n_batches):
            batch.with_options(name=f"batch-{number + 1}-of-{n_batches}")(number)

    embed_texts(len(batches))
