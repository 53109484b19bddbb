"""Batches that are on record in the store: which there are, and which the service is at work on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from genept.common import MissingObjectError
from genept.storage import ObjectStore, ShardCache
from genept.text.hosted.batch_api import ENDED, BatchApi, Job, PendingBatchesError
from genept.text.hosted.ledger import PAID_FOR
from genept.text.hosted.service import OpenAIService

WINDOW: Final = timedelta(hours=24)
"""Time that the service allows itself for a batch."""


def recorded_jobs(store: ObjectStore, prefix: str) -> Iterator[tuple[str, Job]]:
    """The recorded batches below a prefix, with their keys."""
    for info in store.list(prefix):
        with suppress(MissingObjectError):  # collected since
            yield info.key, Job.parse(store.get(info.key), store.uri(info.key))


def addresses_under_way(jobs: Iterable[Job]) -> set[str]:
    """Addresses of what is in batches that are not collected.

    Parameters
    ----------
    jobs
        Recorded batches.

    Returns
    -------
    set of str
        SHA-256 of texts or requests.
    """
    return {address for job in jobs if not job.faults for address in job.addresses}


def require_collected(
    pending: type[PendingBatchesError], model: str, jobs: Iterable[Job], wanted: Collection[str]
) -> None:
    """Refuse to ask what is in batches which were paid for and are not collected.

    Parameters
    ----------
    pending
        Raised if some of it is in such batches.
    model
        Id of the embedder or language model.
    jobs
        Recorded batches.
    wanted
        Addresses of what is wanted.
    """
    wanted = set(wanted)
    if under_way := [job for job in jobs if not job.faults and wanted & set(job.addresses)]:
        n = len(wanted & {address for job in under_way for address in job.addresses})
        until = max(job.until or datetime.now(UTC) + WINDOW for job in under_way)
        raise pending(model, n, len(under_way), until)


def jobs_of(cache: ShardCache[Any]) -> list[Job]:
    """The recorded batches of a model.

    Parameters
    ----------
    cache
        Of its answers.

    Returns
    -------
    list of Job
        Those under way, and those of which something goes into another batch.
    """
    return [job for _, job in recorded_jobs(cache.store, batches_of(cache))]


def unfinished_batches(
    store: ObjectStore,
    product: str,
    open_service: Callable[[str], OpenAIService],
    what: str = "vectors",
) -> list[Job]:
    """Ask each service which of its recorded batches it is still at work on.

    Parameters
    ----------
    store
        The bucket.
    product
        Key prefix of the installation.
    open_service
        Opens the embedder or language model of an id.
    what
        What the batches bring: ``vectors`` or ``chats``.

    Returns
    -------
    list of Job
        Without those that have ended and can be collected. Raises `failed` or `refused` of a
        service that cannot be asked.
    """
    prefix = f"{product}/cache/{PAID_FOR[what]}/"
    unfinished = []
    for key, job in recorded_jobs(store, prefix):
        if job.batch_id and not job.faults:
            service = open_service(key.removeprefix(prefix).split("/")[0])
            with closing(service.client):
                if BatchApi(service).retrieve(job.batch_id).status not in ENDED:
                    unfinished.append(job)
    return unfinished


def batches_of(cache: ShardCache[Any]) -> str:
    """Prefix of the batches that bring what a cache lacks."""
    place, _, rest = cache.prefix.partition("/cache/")
    what, _, model = rest.partition("/")
    return f"{place}/cache/{PAID_FOR[what]}/{model}"
