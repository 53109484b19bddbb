"""A run as JSON lines with run, step and asset ids; memory and tokens per step."""

from __future__ import annotations

import json
import logging
import multiprocessing
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
from dagster import DagsterEventType

from genept.common import give_memory_back, share_memory
from genept.text import EmbedBatch, Runner, TokenCounter

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
        """Start measuring a step, for which memory that earlier ones freed is given back."""
        give_memory_back()
        if self._thread is None:
            share_memory()  # `genept run` has done so; a process that Dagster started has not
            self._thread = threading.Thread(target=self._watch, name="meter", daemon=True)
            self._thread.start()
        with self._lock:
            self.tokens, self._peak = 0, _memory()

    @property
    def peak_memory(self) -> int:
        """Largest number of resident bytes since the step began."""
        with self._lock:
            self._peak = max(self._peak, _memory())
            return self._peak

    def add(self, tokens: int) -> None:
        """Count tokens that were embedded."""
        with self._lock:
            self.tokens += tokens

    def metered(self, runner: Runner) -> Runner:
        """A runner that counts the tokens of the texts that `runner` embeds."""

        def run(
            batches: Sequence[Sequence[str]],
            embed_batch: EmbedBatch,
            at_once: int,
        ) -> None:
            runner(batches, embed_batch, at_once)
            self.add(sum(sum(self._counter.count(batch)) for batch in batches))

        return run

    def _watch(self) -> None:
        pause = threading.Event()
        while not pause.wait(EVERY):
            memory = _memory()
            with self._lock:
                self._peak = max(self._peak, memory)


def _memory() -> int:
    """Resident bytes of this process and of the workers that it spawned."""
    total = int(psutil.Process().memory_info().rss)
    for worker in multiprocessing.active_children():
        with suppress(psutil.Error):  # it ended meanwhile
            total += int(psutil.Process(worker.pid).memory_info().rss)
    return total


METER = Meter()
"""The meter of this process, in which one step runs at a time."""


FOLDER = "logs"


class _RunRecords(logging.Handler):
    """Appends every event and message of a run to its file, whole lines at a time."""

    def __init__(self, path: Path) -> None:
        super().__init__(logging.DEBUG)
        self.path = path

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "dagster_event", None)
        if event is not None and event.event_type == DagsterEventType.STEP_START:
            METER.begin()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(_line(record, event), ensure_ascii=False) + "\n")


def _line(record: logging.LogRecord, event: dg.DagsterEvent | None) -> dict[str, Any]:
    meta = getattr(record, "dagster_meta", {})
    line = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname,
        "run_id": meta.get("run_id"),
        "job": meta.get("job_name"),
        "night": (meta.get("job_tags") or {}).get("dagster/partition"),
        "step": meta.get("step_key") or (event.step_key if event else None),
        "asset": event.asset_key.to_user_string() if event and event.asset_key else None,
        "event": event.event_type_value if event else None,
        "message": meta.get("orig_message") or record.getMessage(),
    }
    return {name: value for name, value in line.items() if value is not None}


def run_records(state: Path) -> dg.LoggerDefinition:
    """Logger of the jobs of one installation, by its state folder."""

    @dg.logger(None, description="One JSON object per event, below the state folder.")
    def records(context: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger("genept.records", level=logging.DEBUG)
        logger.addHandler(_RunRecords(state / FOLDER / f"{context.run_id or 'no-run'}.jsonl"))
        return logger

    return records
