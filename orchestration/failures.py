"""What happens when a run fails: a report that says what to do, and a message if one is wanted.

Looks at the event log only. The report lies below the state folder, which is there when the
store is not, and beside the releases when that can be reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import dagster as dg
import httpx

from genept.escaping import markdown_text
from genept.platform import Platform
from genept.settings import Settings
from genept.store.approvals import COMMAND
from genept.store.errors import StoreError
from orchestration.progress import failure_text, is_held

FOLDER: Final = "failures"
TIMEOUT: Final = 10.0
HIDDEN: Final = "(hidden)"
SECRETS: Final = ("s3_secret_key", "openai_api_key", "failure_webhook", "ui_token", "viewer_token")


def failure_report(run: dg.DagsterRun, message: str, steps: Sequence[dg.DagsterEvent]) -> str:
    """Markdown: what failed, why, and what a person does now."""
    night = run.tags.get("dagster/partition")
    lines = [
        f"# Run {run.run_id} failed",
        "",
        f"- job: {run.job_name}",
        *([f"- night: {night}"] if night else []),
        f"- {markdown_text((message.strip() or 'no reason was given').splitlines()[0])}",
        "",
        "## Steps",
        "",
        *[
            f"- `{one.step_key}`: {markdown_text(' '.join(failure_text(one).split()))}"
            for one in steps
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
    if any(is_held(one) for one in steps):
        return [
            "Nothing was published, and the current release stays as it is, until somebody says",
            f"that what is named above is meant. `{COMMAND}` prints it and asks why. Then",
            again,
            "If it is not meant, `docs/runbook.md` says how to find the cause.",
        ]
    return [
        "Nothing was published, and the current release stays as it is. Mend what is named above",
        f"and {again}",
        "`docs/runbook.md` goes through the common causes.",
    ]


def without_secrets(text: str, settings: Settings) -> str:
    """The text, with any secret of the settings that found its way into it taken out."""
    for name in SECRETS:
        secret = getattr(settings, name)
        if secret is not None and secret.get_secret_value():
            text = text.replace(secret.get_secret_value(), HIDDEN)
    return text


def report_failure(
    platform: Platform, run: dg.DagsterRun, message: str, steps: Sequence[dg.DagsterEvent]
) -> str:
    """Keep the report, and post it where the settings say; returns it.

    Neither an unreachable store nor a deaf webhook keeps the report from the state folder.
    """
    settings = platform.settings
    report = without_secrets(failure_report(run, message, steps), settings)
    path = settings.state / FOLDER / f"{run.run_id}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    trouble = []
    try:
        key = f"{settings.product}/{FOLDER}/{run.run_id}.md"
        platform.store.put_if_absent(key, report.encode())
    except StoreError as error:
        trouble.append(f"The store has no copy of this report: {error}")
    if settings.failure_webhook is not None:
        said = {"run_id": run.run_id, "job": run.job_name, "text": report}
        try:
            address = settings.failure_webhook.get_secret_value()
            answer = httpx.post(address, json=said, timeout=TIMEOUT, follow_redirects=False)
            answer.raise_for_status()
        except httpx.HTTPError as error:  # its text may hold the address
            trouble.append(f"The webhook was not told: {type(error).__name__}")
    kept = "\n".join([report, *(without_secrets(one, settings) for one in trouble)])
    path.write_text(kept, encoding="utf-8")
    return kept


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
