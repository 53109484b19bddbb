"""BLAS held to one thread while sums run: the kernels have threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from threadpoolctl import ThreadpoolController


class _BlasThreads:
    """Holds BLAS to one thread while any sum runs: the threads here are our own.

    The limit is the whole process's, so the last one out restores it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._controller: ThreadpoolController | None = None
        self._limit: Any = None

    @contextmanager
    def one_thread(self) -> Iterator[None]:
        with self._lock:
            if not self._running:
                # It looks through all loaded libraries: as long as some hundred rows take.
                self._controller = self._controller or ThreadpoolController()
                self._limit = self._controller.limit(limits=1, user_api="blas")
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                if not self._running:
                    self._limit.restore_original_limits()


BLAS: Final = _BlasThreads()
