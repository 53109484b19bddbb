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
from genept.language_models import AnswerCache, Chat, ChatService, put_chats
from genept.storage import ObjectStore, Part, get_table, open_store
from genept.text import MeteredEmbedder, VectorCache, all_payments, jobs_of
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


RunFlow = Callable[[str, Mapping[str, str]], None]
"""Runs the flow of a name with these arguments, and waits for it."""


class PrefectFlows:
    """Has hosted models asked by flows, and waits for the flows; see `genept.client.RemoteModels`.

    Parameters
    ----------
    settings
        Of the installation; a worker that is started here gets them.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def embed(self, embedder: MeteredEmbedder, texts: Part) -> None:
        """Have the texts of a part embedded, or sent as batches."""
        store = open_store(self.settings, "writer")
        cache = VectorCache(store, self.settings.product, embedder)
        place = {"embedder": embedder.id, "vectors": cache.prefix}
        with self._asking(embedder.id, store) as run:
            if jobs_of(cache):
                run("collect-batches", place)
                cache.refresh()
            wanted = get_table(store, texts.key, "run again")["text"].to_pylist()
            if cache.missing(wanted):
                run("embed-texts", {**place, "part": texts.key})

    def complete(self, service: ChatService, cache: AnswerCache, chats: Sequence[Chat]) -> None:
        """Have chats completed, or sent as batches."""
        key = put_chats(cache.store, self.settings.product, chats)
        with self._asking(service.id, cache.store) as run:
            run("complete-chats", {"model": service.id, "answers": cache.prefix, "chats": key})
        cache.store.delete([key])

    @contextmanager
    def _asking(self, model: str, store: ObjectStore) -> Iterator[RunFlow]:
        """What runs flows; what they paid is in the metrics of the run and the asset's metadata."""
        context = dg.AssetExecutionContext.get()
        console.print(f"  asking {model}: a Prefect flow", markup=False)
        runs: list[str] = []
        with _server(self.settings) as server:
            yield lambda flow, arguments: runs.append(server.run(context, flow, arguments))
        payments = all_payments(store, self.settings.product)
        paid = [payment for payment in payments if payment.run_id in runs]
        METER.add(sum(payment.tokens + payment.output_tokens for payment in paid))
        dollars = sum(payment.dollars for payment in paid)
        context.add_asset_metadata({f"dollars paid to {model}": round(dollars, 6)})


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
