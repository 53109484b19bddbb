"""What a step costs while it runs: the most memory that was held, and the tokens embedded.

Sampled by one thread of the process, its worker processes included. The IO manager hangs the
numbers on what the step makes; table `run_metrics` is read from there.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Sequence
from contextlib import suppress

import psutil

from genept.text.embedding import EmbedBatch, Runner
from genept.text.tokens import TokenCounter

EVERY = 0.1
"""Seconds between two samples: a peak that is shorter may be missed."""


class Meter:
    """Memory and tokens since the last step began; one per process."""

    def __init__(self) -> None:
        self.tokens = 0
        self._peak = 0
        self._counter = TokenCounter(None)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """A step begins."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="meter", daemon=True)
            self._thread.start()
        with self._lock:
            self.tokens, self._peak = 0, _memory()

    @property
    def peak_memory(self) -> int:
        """Bytes held at the most since the step began."""
        with self._lock:
            self._peak = max(self._peak, _memory())
            return self._peak

    def metered(self, runner: Runner) -> Runner:
        """The same runner, with the texts that it is given counted."""

        def run(
            batches: Sequence[Sequence[str]],
            embed_batch: EmbedBatch,
            at_once: int,
            interrupted: threading.Event,
        ) -> None:
            runner(batches, embed_batch, at_once, interrupted)
            with self._lock:
                self.tokens += sum(sum(self._counter.count(batch)) for batch in batches)

        return run

    def _watch(self) -> None:
        pause = threading.Event()
        while not pause.wait(EVERY):
            held = _memory()
            with self._lock:
                self._peak = max(self._peak, held)


def _memory() -> int:
    """Resident bytes of this process and of the workers that it spawned."""
    total = int(psutil.Process().memory_info().rss)
    for worker in multiprocessing.active_children():
        with suppress(psutil.Error):  # it ended meanwhile
            total += int(psutil.Process(worker.pid).memory_info().rss)
    return total


METER = Meter()
"""Of this process, in which one step runs at a time."""
