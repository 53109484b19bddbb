"""A run as a person at the terminal follows it: one line per table and per failed check."""

from __future__ import annotations

import logging
import time

import dagster as dg
from dagster import DagsterEventType
from rich.markup import escape

from assets.release import HELD
from genept.console import console


def failure_text(event: dg.DagsterEvent) -> str:
    """Why a step failed, as the code that failed says it."""
    failure = event.step_failure_data
    if failure.user_failure_data is not None and failure.user_failure_data.description:
        return failure.user_failure_data.description
    error = failure.error
    cause = error.cause if error and error.cause else error
    return cause.message.strip() if cause else (event.message or "no reason was given")


def is_held(event: dg.DagsterEvent) -> bool:
    """Whether a step failed because a release waits for approval."""
    failure = event.step_failure_data.user_failure_data
    return failure is not None and HELD in failure.metadata


class _RunLines(logging.Handler):
    """Prints materialisations, failed checks and errors of a run as they are logged."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.started: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "dagster_event", None)
        if event is None:
            return
        step = event.step_key or ""
        if event.event_type == DagsterEventType.STEP_START:
            self.started[step] = time.monotonic()
        elif event.event_type == DagsterEventType.ASSET_MATERIALIZATION:
            self._materialised(event, time.monotonic() - self.started.get(step, time.monotonic()))
        elif event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
            self._checked(event.asset_check_evaluation_data)
        elif event.event_type == DagsterEventType.STEP_FAILURE:
            console.print(f"[red]✗[/] {step}: {escape(failure_text(event))}")

    def _materialised(self, event: dg.DagsterEvent, seconds: float) -> None:
        metadata = event.step_materialization_data.materialization.metadata
        name = event.asset_key.to_user_string() if event.asset_key else ""
        rows = metadata.get("dagster/row_count")
        shown = f"{rows.value:>12,} rows" if rows is not None else ""
        console.print(f"[green]✓[/] {name:<34}{shown:<20}{seconds:>8.1f} s")

    def _checked(self, evaluation: dg.AssetCheckEvaluation) -> None:
        if not evaluation.passed:
            failed = evaluation.severity == dg.AssetCheckSeverity.ERROR
            mark = "[red]✗[/]" if failed else "[yellow]![/]"
            name = evaluation.asset_key.to_user_string()
            console.print(f"{mark} check of {name}: {escape(evaluation.description or '')}")


@dg.logger(description="One line per table and per failed check.")
def run_lines(_: dg.InitLoggerContext) -> logging.Logger:
    """Logger of the jobs."""
    logger = logging.Logger("genept.run", level=logging.DEBUG)
    logger.addHandler(_RunLines())
    return logger
