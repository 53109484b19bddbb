"""What people see of a run: a line per table and failed check, and a report when it fails."""

from __future__ import annotations

import io
import logging
import os
import sys
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Final, TextIO

import dagster as dg
import httpx
from dagster import DagsterEventType
from rich.markup import escape

from assets import HELD, PENDING
from genept.client import Platform
from genept.common import Settings, StoreError, console, markdown_text, open_console
from genept.release import COMMAND


def failure_text(event: dg.DagsterEvent) -> str:
    """Why a step failed: the message of the error that it raised."""
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


def _own_stderr() -> TextIO:
    """Standard error by a descriptor of its own.

    During a step Dagster leads standard error into a file, copies that to the terminal by
    another process, and ends that process with the step: what was printed last may be lost, and
    what is printed goes to no terminal, so that no bar is shown.
    """
    descriptor = os.dup(sys.stderr.fileno())
    encoding = sys.stderr.encoding
    file = open(descriptor, "w", encoding=encoding, buffering=1, closefd=False)  # noqa: SIM115
    weakref.finalize(file, os.close, descriptor)
    return file


@contextmanager
def direct_console() -> Iterator[None]:
    """Print messages and bars of the steps of this process past Dagster, to standard error."""
    with ExitStack() as stack:
        with suppress(io.UnsupportedOperation):  # standard error is no file: nothing moves it
            console.file = _own_stderr()
            # without a file it prints to standard error, whatever that is then
            stack.callback(setattr, console, "file", None)
        yield


class _RunLines(logging.Handler):
    """Prints materialisations, failed checks and errors of a run as they are logged."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.started: dict[str, float] = {}
        self._console = console
        if console.file is sys.stderr:  # not within `direct_console`: the run is another process's
            self._console = open_console(stderr=True)
            with suppress(io.UnsupportedOperation):  # standard error is no file: nothing moves it
                self._console.file = _own_stderr()

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
        elif event.event_type == DagsterEventType.ASSET_OBSERVATION:
            observation = event.asset_observation_data.asset_observation
            if PENDING in observation.metadata:
                self._console.print(f"[yellow]…[/] {step}: {escape(observation.description or '')}")
        elif event.event_type == DagsterEventType.STEP_FAILURE:
            self._console.print(f"[red]✗[/] {step}: {escape(failure_text(event))}")

    def _materialised(self, event: dg.DagsterEvent, seconds: float) -> None:
        materialization = event.step_materialization_data.materialization
        if materialization.partition and event.step_key != materialization.asset_key.path[-1]:
            return  # a partition that the step of a table records: the table's own line follows
        metadata = materialization.metadata
        name = event.asset_key.to_user_string() if event.asset_key else ""
        rows = metadata.get("dagster/row_count")
        if rows is not None and not rows.value:
            return  # empty tables are many in a limited build; the report lists them
        row_count = f"{rows.value:>12,} rows" if rows is not None else ""
        self._console.print(f"[green]✓[/] {name:<34}{row_count:<20}{seconds:>8.1f} s")

    def _checked(self, evaluation: dg.AssetCheckEvaluation) -> None:
        if not evaluation.passed:
            failed = evaluation.severity == dg.AssetCheckSeverity.ERROR
            mark = "[red]✗[/]" if failed else "[yellow]![/]"
            name = evaluation.asset_key.to_user_string()
            self._console.print(f"{mark} check of {name}: {escape(evaluation.description or '')}")


@dg.logger(None, description="One line per table and per failed check.")
def run_lines(_: dg.InitLoggerContext) -> logging.Logger:
    """Logger of the jobs."""
    logger = logging.Logger("genept.run", level=logging.DEBUG)
    logger.addHandler(_RunLines())
    return logger


FOLDER: Final = "failures"

TIMEOUT: Final = 10.0

HIDDEN: Final = "(hidden)"

SECRETS: Final = ("s3_secret_key", "openai_api_key", "failure_webhook", "ui_token", "viewer_token")


def failure_report(run: dg.DagsterRun, message: str, steps: Sequence[dg.DagsterEvent]) -> str:
    """Markdown: what failed, why, and what a person does now."""
    day = run.tags.get("dagster/partition")
    lines = [
        f"# Run {run.run_id} failed",
        "",
        f"- job: {run.job_name}",
        *([f"- day: {day}"] if day else []),
        f"- {markdown_text((message.strip() or 'no reason was given').splitlines()[0])}",
        "",
        "## Steps",
        "",
        *[
            f"- `{event.step_key}`: {markdown_text(' '.join(failure_text(event).split()))}"
            for event in steps
        ],
        *([] if steps else ["- none: the process ended before a step could fail"]),
        "",
        "## What to do",
        "",
        *_what_to_do(run, steps),
    ]
    return "\n".join(lines) + "\n"


def _what_to_do(run: dg.DagsterRun, steps: Sequence[dg.DagsterEvent]) -> list[str]:
    again = f"run `{run.job_name}` again: what is built is kept and not built twice."
    if any(is_held(event) for event in steps):
        return [
            "Nothing was published, and the current release stays as it is, until somebody says",
            f"that what is named above is meant. `{COMMAND}` prints it and asks why. Then",
            again,
            "If it is not meant, `docs/runbook.md` says how to find the cause.",
        ]
    return [
        "Nothing was published, and the current release stays as it is. Fix what is named above",
        f"and {again}",
        "`docs/runbook.md` goes through the common causes.",
    ]


def without_secrets(text: str, settings: Settings) -> str:
    """The text, with every secret of the settings replaced by `HIDDEN`."""
    for name in SECRETS:
        secret = getattr(settings, name)
        if secret is not None and secret.get_secret_value():
            text = text.replace(secret.get_secret_value(), HIDDEN)
    return text


def report_failure(
    platform: Platform, run: dg.DagsterRun, message: str, steps: Sequence[dg.DagsterEvent]
) -> str:
    """Store the report, post it to the webhook of the settings, and return it.

    It is written to the state folder even if the store or the webhook cannot be reached.
    """
    settings = platform.settings
    report = without_secrets(failure_report(run, message, steps), settings)
    path = settings.state / FOLDER / f"{run.run_id}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    problems = []
    try:
        key = f"{settings.product}/{FOLDER}/{run.run_id}.md"
        platform.store.put_if_absent(key, report.encode())
    except StoreError as error:
        problems.append(f"The store has no copy of this report: {error}")
    if settings.failure_webhook is not None:
        payload = {"run_id": run.run_id, "job": run.job_name, "text": report}
        try:
            address = settings.failure_webhook.get_secret_value()
            response = httpx.post(address, json=payload, timeout=TIMEOUT, follow_redirects=False)
            response.raise_for_status()
        except httpx.HTTPError as error:  # its text may hold the address
            problems.append(f"The webhook could not be called: {type(error).__name__}")
    text = "\n".join([report, *(without_secrets(problem, settings) for problem in problems)])
    path.write_text(text, encoding="utf-8")
    return text


@dg.run_failure_sensor(
    name="failures",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    description="On by default: a report costs nothing. Writes what failed and what to do below "
    "the state folder and into the store, and posts it to GENEPT_FAILURE_WEBHOOK if that is set.",
)
def failures(context: dg.RunFailureSensorContext, platform: dg.ResourceParam[Platform]) -> None:
    """Report one failed run."""
    report_failure(
        platform,
        context.dagster_run,
        context.failure_event.message or "",
        context.get_step_failure_events(),
    )
