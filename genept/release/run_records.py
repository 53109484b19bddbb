"""Records of a run: its costs as table `run_metrics`, and pictures in its log.

Reading the costs from Dagster is in `orchestration.run_metrics`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from genept.common import markdown_text, new_figure, png_bytes
from genept.schema.tables import WORKING_TABLES
from genept.storage import Lake, NewPart, Origin, Part

SHOWN: Final = 60
"""Maximum number of runs in the picture; the newest are drawn."""


MEASURES: Final = (
    ("seconds", 1.0, "seconds"),
    ("bytes", 1e6, "MB in tables made"),
    ("tokens", 1e3, "thousand tokens embedded"),
    ("peak_memory", 1e6, "MB of memory at most"),
)
"""Column, divisor and title of each panel."""


SHOWN_BYTES: Final = 200_000
"""Size of the pictures in one record of the event log."""


def shown_pictures(pictures: Mapping[str, tuple[str, bytes]]) -> str:
    """Show as many pictures as the event log of a run should carry.

    Parameters
    ----------
    pictures
        Where a picture is kept, and the picture (PNG), by title.

    Returns
    -------
    str
        Markdown: the picture, or its address.
    """
    lines, bytes_left = [], SHOWN_BYTES
    for name, (address, picture) in pictures.items():
        encoded = base64.b64encode(picture).decode()
        bytes_left -= len(encoded)
        shown = f"![{markdown_text(name)}](data:image/png;base64,{encoded})"
        lines.append(shown if bytes_left >= 0 else f"{markdown_text(name)}: {address}")
    return "\n\n".join(lines)


def keep_metrics(
    lake: Lake, run_id: str, read: Callable[[], Sequence[Mapping[str, Any]]]
) -> list[Part]:
    """Store the costs of the steps of a finished run, once.

    Parameters
    ----------
    lake
        The lake.
    run_id
        Id of the run.
    read
        Reads the rows of table `run_metrics`; not called if they are stored already.

    Returns
    -------
    list of Part
        Empty for a run without steps.
    """
    origin = Origin(code=("genept.schema.tables",), settings={"run": run_id})

    def compute() -> list[NewPart]:
        rows = read()
        return [NewPart("run_metrics", metrics_frame(rows), (run_id,))] if rows else []

    return lake.build(f"run_metrics/{run_id}", origin, compute)


def step_costs(
    recorded: Sequence[Mapping[str, object]], started: float | None, ended: float | None
) -> dict[str, Any]:
    """Sum what the outputs of one step cost.

    Parameters
    ----------
    recorded
        What was recorded of each output, by name; a table has ``parts``.
    started, ended
        Unix times of the step, in seconds; None if it is not known.

    Returns
    -------
    dict
        Columns of table `run_metrics`; None where nothing was recorded.
    """
    tables = [output for output in recorded if "parts" in output]
    recorded_as = {"rows": "dagster/row_count", "bytes": "bytes", "tokens": "tokens"}
    numbers = {column: _numbers(tables, name) for column, name in recorded_as.items()}
    started_at = datetime.fromtimestamp(started, UTC) if started is not None else None
    return {
        "started_at": started_at.strftime("%Y-%m-%dT%H:%M:%SZ") if started_at else None,
        "seconds": ended - started if started and ended else None,
        **{column: sum(values) if values else None for column, values in numbers.items()},
        "peak_memory": max(_numbers(recorded, "peak_memory"), default=None),
    }


def _numbers(recorded: Sequence[Mapping[str, object]], name: str) -> list[int]:
    values = (output.get(name) for output in recorded)
    return [int(value) for value in values if isinstance(value, int | float)]


def metrics_frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return rows of table `run_metrics` as a frame of its schema.

    Parameters
    ----------
    rows
        One mapping per step, with every column of the table by name.

    Returns
    -------
    pl.DataFrame
        In the order of `rows`.
    """
    empty = pl.DataFrame(WORKING_TABLES["run_metrics"].schema(None).empty_table())
    return pl.DataFrame(rows, schema=empty.schema, orient="row")


def cost_by_run(metrics: pl.DataFrame) -> pl.DataFrame:
    """Sum the costs of each run.

    Parameters
    ----------
    metrics
        Rows of table `run_metrics`, one per step.

    Returns
    -------
    pl.DataFrame
        One row per run, oldest first: `run_id`, `job`, `night`, `outcome`, `started_at`, sums of
        `seconds`, `bytes` and `tokens`, and the maximum of `peak_memory` (bytes).
    """
    return (
        metrics.group_by("run_id", "job", "night", "outcome")
        .agg(
            pl.col("started_at").min(),
            pl.col("seconds", "bytes", "tokens").sum(),
            pl.col("peak_memory").max(),
        )
        .sort("started_at")
    )


def cost_picture(metrics: pl.DataFrame) -> bytes:
    """Draw the costs of the last runs: time, bytes, tokens and memory.

    Parameters
    ----------
    metrics
        Rows of table `run_metrics`, one per step.

    Returns
    -------
    bytes
        A PNG of 640 × 480 pixels; failed runs are red.
    """
    runs = cost_by_run(metrics).tail(SHOWN)
    figure = new_figure((8, 6), dpi=80)
    panels = figure.subplots(len(MEASURES), 1, sharex=True)
    places = list(range(runs.height))
    colours = ["#4c72b0" if outcome == "success" else "#c44e52" for outcome in runs["outcome"]]
    for panel, (name, unit, label) in zip(panels, MEASURES, strict=True):
        values = (runs[name].fill_null(0) / unit).to_list()
        panel.bar(places, values, color=colours, width=0.8)
        panel.set_title(label, loc="left", fontsize=9)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    names = [
        day or f"{job} {started[5:10]}"
        for day, job, started in runs.select("night", "job", "started_at").iter_rows()
    ]
    step = max(1, len(names) // 15)
    panels[-1].set_xticks(places[::step], names[::step], rotation=45, ha="right", fontsize=8)
    figure.suptitle("What each run cost (red: it failed)", fontsize=10)
    return png_bytes(figure)
