"""A run as a machine reads it: one JSON object per line, with run, step and asset ids.

Written below the state folder, a file per run. What the lines are for a person is
`orchestration.progress`'s; the logger also tells the meter when a step begins.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterEventType

from orchestration.metering import METER

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
    said = getattr(record, "dagster_meta", {})
    line = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname,
        "run_id": said.get("run_id"),
        "job": said.get("job_name"),
        "night": (said.get("job_tags") or {}).get("dagster/partition"),
        "step": said.get("step_key") or (event.step_key if event else None),
        "asset": event.asset_key.to_user_string() if event and event.asset_key else None,
        "event": event.event_type_value if event else None,
        "message": said.get("orig_message") or record.getMessage(),
    }
    return {name: value for name, value in line.items() if value is not None}


def run_records(state: Path) -> dg.LoggerDefinition:
    """Logger of the jobs of one installation, by its state folder."""

    @dg.logger(description="One JSON object per event, below the state folder.")
    def records(context: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger("genept.records", level=logging.DEBUG)
        logger.addHandler(_RunRecords(state / FOLDER / f"{context.run_id or 'no-run'}.jsonl"))
        return logger

    return records
