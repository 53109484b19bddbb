"""Texts of hosted embedders, and chats, are answered by Prefect flows that the step launches.

With `PREFECT_API_URL`, flows run where the workers of that server are. Without, a server on
loopback and a worker are started for as long as there is something to embed; that server requires a
key that only these processes know. Prefect is imported only then: local embedders need none.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import dagster as dg

from genept.common import Settings, StoreError, console, private_folder
from genept.language_models import AnswerCache, Chat, ChatService, CompleteRemotely, put_chats
from genept.storage import ObjectStore, Part, get_table, open_store
from genept.text import EmbedRemotely, MeteredEmbedder, VectorCache, all_payments, jobs_of
from orchestration.run_metrics import METER
from orchestration.services import Service

if TYPE_CHECKING:
    from orchestration.prefect_client import PrefectServer

STARTUP_SECONDS: Final = 180

QUIET: Final = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_WORKER_QUERY_SECONDS": "3",
    "PREFECT_SERVER_DATABASE_TIMEOUT": "60",  # SQLite has one writer, also on a busy machine
}
"""Settings of a server and a worker of our own."""


def embed_remotely(settings: Settings) -> EmbedRemotely:
    """What has the texts of hosted embedders embedded by flows, and waits for the flows.

    Parameters
    ----------
    settings
        Of the installation; a worker that is started here gets them.

    Returns
    -------
    callable
        See `genept.text.EmbedRemotely`.
    """
    return partial(_embed, settings)


def _embed(settings: Settings, embedder: MeteredEmbedder, texts: Part) -> None:
    context = dg.AssetExecutionContext.get()
    cache = VectorCache(open_store(settings, "writer"), settings.product, embedder)
    console.print(f"  embedding with {embedder.id}: a Prefect flow", markup=False)
    with _server(settings) as server:
        parameters = {"embedder": embedder.id, "vectors": cache.prefix}
        runs = []
        if jobs_of(cache):
            runs.append(server.run(context, "collect-batches", parameters))
            cache.refresh()
        wanted = get_table(cache.store, texts.key, "run again")["text"].to_pylist()
        if cache.missing(wanted):
            parameters["part"] = texts.key
            runs.append(server.run(context, "embed-texts", parameters))
    _report_paid(context, cache.store, settings.product, embedder.id, runs)


def complete_remotely(settings: Settings) -> CompleteRemotely:
    """What has chats of hosted language models completed by a flow, and waits for it.

    Parameters
    ----------
    settings
        Of the installation; a worker that is started here gets them.

    Returns
    -------
    callable
        See `genept.language_models.CompleteRemotely`.
    """
    return partial(_complete, settings)


def _complete(
    settings: Settings, service: ChatService, cache: AnswerCache, chats: Sequence[Chat]
) -> None:
    context = dg.AssetExecutionContext.get()
    console.print(f"  asking {service.id}: a Prefect flow", markup=False)
    key = put_chats(cache.store, settings.product, chats)
    parameters = {"model": service.id, "answers": cache.prefix, "chats": key}
    with _server(settings) as server:
        run = server.run(context, "complete-chats", parameters)
    cache.store.delete([key])
    _report_paid(context, cache.store, settings.product, service.id, [run])


def _report_paid(
    context: dg.AssetExecutionContext, store: ObjectStore, product: str, id_: str, runs: list[str]
) -> None:
    """What the flow runs paid, in the metrics of the run and the metadata of the asset."""
    paid = [payment for payment in all_payments(store, product) if payment.run_id in runs]
    METER.add(sum(payment.tokens + payment.output_tokens for payment in paid))
    dollars = sum(payment.dollars for payment in paid)
    context.add_asset_metadata({f"dollars paid to {id_}": round(dollars, 6)})


@contextmanager
def _server(settings: Settings) -> Iterator[PrefectServer]:
    """The server that the environment names; or one of our own, with a worker."""
    home = private_folder(settings.private_state() / "prefect")
    os.environ.setdefault("PREFECT_HOME", str(home))  # the user's own stays as it is
    from orchestration.prefect_client import PrefectServer

    if "PREFECT_API_URL" in os.environ:
        yield PrefectServer.at(os.environ)
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    key, worker = f"genept:{secrets.token_urlsafe(32)}", f"genept-{secrets.token_hex(4)}"
    environment = {
        **os.environ,
        **settings.environment(),
        **QUIET,
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_API_AUTH_STRING": key,
        "PREFECT_SERVER_API_AUTH_STRING": key,
    }
    server = PrefectServer.at(environment)
    at = ["--host", "127.0.0.1", "--port", str(port), "--no-ui"]
    with ExitStack() as stack:
        start = partial(_start, stack, environment, settings)
        start("Prefect server", ["prefect", "server", "start", *at], server.is_healthy)
        server.cancel_all()  # what a killed run left must not begin now
        ready = partial(server.has_worker, worker)
        start("Prefect worker", ["genept.cli", "worker", "--name", worker], ready)
        stack.callback(server.wait_until_idle)  # a cancelled flow run keeps what it is paid for
        yield server


def _start(
    stack: ExitStack,
    environment: Mapping[str, str],
    settings: Settings,
    name: str,
    module: list[str],
    is_ready: Callable[[], bool],
) -> None:
    """Start a module as a process that ends with the context, and wait until it is ready."""
    log = settings.private_state() / "logs" / "prefect.log"
    private_folder(log.parent)
    service = Service(name, [sys.executable, "-m", *module], environment, log)
    stack.callback(service.end)
    until = time.monotonic() + STARTUP_SECONDS
    while not is_ready():
        if service.has_ended or time.monotonic() > until:
            raise StoreError(f"the {name} did not start; {log} says why")
        time.sleep(0.3)
