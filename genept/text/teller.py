"""Paying in a process of its own, which a kill of the run does not reach.

A request that is under way is charged for whether or not anybody is left to keep its answer.
So the till stands in a small process of its own session: when the run dies, it waits for the
answers under way, keeps them with their receipts, lets go of the lease and ends. Killing that
process too, or the machine, loses at most `at_once` requests.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
import traceback
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from genept.console import console
from genept.store.access import Access
from genept.store.errors import StoreError
from genept.store.s3 import ObjectStore
from genept.text.cache import VectorCache
from genept.text.embedder import EmbeddingError, MeteredEmbedder, RefusedEmbeddingError
from genept.text.till import Purse, Till

PROGRAM = "from genept.text.teller import serve; import sys; serve(int(sys.argv[1]))"


@dataclass(frozen=True)
class Order:
    """All that the paying process has to know. It travels through a pipe, never a command line."""

    access: Access
    product: str
    embedder: MeteredEmbedder
    purse: Purse
    run_id: str
    parent: int


class Teller:
    """Has texts paid for by a process of its own; use it as a context, from any thread."""

    def __init__(self, embedder: MeteredEmbedder, cache: VectorCache, purse: Purse) -> None:
        run_id = f"run-{secrets.token_hex(8)}"
        self._order = Order(cache.store.access, cache.product, embedder, purse, run_id, os.getpid())
        self._waiting: dict[int, Future[None]] = {}
        self._lock = threading.Lock()
        self._count = 0
        self._is_over = False

    def __enter__(self) -> Teller:
        self._connection, theirs = Pipe()
        package = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(theirs.fileno())],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        self._connection.send(self._order)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock, suppress(OSError):
            self._connection.send(None)
        self._process.wait()
        self._listener.join()
        self._connection.close()

    def pay(self, texts: Sequence[str]) -> None:
        """As `Till.pay`."""
        future: Future[None] = Future()
        with self._lock:
            if self._is_over:
                raise EmbeddingError(_ENDED)
            self._count += 1
            self._waiting[self._count] = future
            self._connection.send((self._count, list(texts)))
        future.result()

    def _listen(self) -> None:
        while True:
            try:
                number, error = self._connection.recv()
            except (EOFError, OSError):
                break
            with self._lock:
                future = self._waiting.pop(number)
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
        with self._lock:
            self._is_over = True
            for future in self._waiting.values():
                future.set_exception(EmbeddingError(_ENDED))
            self._waiting.clear()


_ENDED = "the process that pays for texts ended before its time; what it kept is kept: run again"


def serve(file_descriptor: int) -> None:
    """Pay for what is asked through the pipe, until its other end is gone."""
    connection: Connection[Any, Any] = Connection(file_descriptor)
    order: Order = connection.recv()
    access, abandoned, sending = order.access, threading.Event(), threading.Lock()

    def settle(till: Till, number: int, texts: list[str]) -> None:
        if os.getppid() != order.parent:
            return  # the run is gone, and has left this in the pipe: it is not begun any more
        error = _error_of(till, texts)
        # If the run is gone, what it asked for is kept all the same.
        with sending, suppress(OSError):
            connection.send((number, error))

    with (
        ObjectStore(
            access.endpoint_url, access.access_key, access.secret_key, access.region, access.bucket
        ) as store,
        ThreadPoolExecutor(order.embedder.at_once) as pool,
    ):
        cache = VectorCache(store, order.product, order.embedder)
        till = Till(order.embedder, cache, order.purse, order.run_id, abandoned, console.print)
        try:
            with till:
                while asked := _next(connection):
                    pool.submit(settle, till, *asked)
                abandoned.set()
                pool.shutdown()
        except (EmbeddingError, StoreError) as error:  # it could not be opened: say so who asks
            while asked := _next(connection):
                connection.send((asked[0], EmbeddingError(str(error))))


def _next(connection: Connection[Any, Any]) -> tuple[int, list[str]] | None:
    try:
        asked: tuple[int, list[str]] | None = connection.recv()
    except (EOFError, OSError):
        return None
    return asked


def _error_of(till: Till, texts: list[str]) -> EmbeddingError | None:
    """What goes wrong, as something that another process can read."""
    try:
        till.pay(texts)
    except RefusedEmbeddingError as error:
        return type(error)(str(error))
    except (EmbeddingError, StoreError) as error:
        return EmbeddingError(str(error))
    except Exception:
        return EmbeddingError(f"the till broke down:\n{traceback.format_exc()}")
    return None
