"""What runs cost: table `run_metrics`, one part per run, and a picture of it night by night.

Where the numbers are read, an orchestrator's event log, is not known here.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import polars as pl

from genept.drawing import new_figure
from genept.store.lake import Lake, NewPart, Part
from genept.store.provenance import Origin
from genept.tables import WORKING_TABLES

SHOWN: Final = 60
"""Runs at the most that are drawn: the newest."""

MEASURES: Final = (
    ("seconds", 1.0, "seconds"),
    ("bytes", 1e6, "MB in tables made"),
    ("tokens", 1e3, "thousand tokens embedded"),
    ("peak_memory", 1e6, "MB of memory at most"),
)
"""Column, divisor, and what is written beside the axis."""

_TYPES: Final[Mapping[str, Any]] = {
    "string": pl.String,
    "int64": pl.Int64,
    "double": pl.Float64,
}


def keep_metrics(
    lake: Lake, run_id: str, read: Callable[[], Sequence[Mapping[str, Any]]]
) -> list[Part]:
    """Keep what the steps of one run that ended cost; reads nothing if that was done before.

    A run without any step has no part.
    """
    origin = Origin(code=("genept.tables",), settings={"run": run_id})

    def compute() -> list[NewPart]:
        rows = read()
        return [NewPart("run_metrics", metrics_frame(rows), (run_id,))] if rows else []

    return lake.build(f"run_metrics/{run_id}", origin, compute)


def metrics_frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows of table `run_metrics`."""
    schema = {
        column.name: pl.List(pl.String) if column.is_list else _TYPES[str(column.type)]
        for column in WORKING_TABLES["run_metrics"].columns
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def cost_by_run(metrics: pl.DataFrame) -> pl.DataFrame:
    """One row per run, oldest first: sums over its steps, and the most memory of any."""
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
    """PNG of what each of the last runs cost: time, bytes, tokens and memory."""
    runs = cost_by_run(metrics).tail(SHOWN)
    figure = new_figure((8, 6), dpi=80)
    panels = figure.subplots(len(MEASURES), 1, sharex=True)
    places = list(range(runs.height))
    colours = ["#4c72b0" if one == "success" else "#c44e52" for one in runs["outcome"]]
    for panel, (name, unit, label) in zip(panels, MEASURES, strict=True):
        values = (runs[name].fill_null(0) / unit).to_list()
        panel.bar(places, values, color=colours, width=0.8)
        panel.set_title(label, loc="left", fontsize=9)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    names = [
        night or f"{job} {started[5:10]}"
        for night, job, started in runs.select("night", "job", "started_at").iter_rows()
    ]
    step = max(1, len(names) // 15)
    panels[-1].set_xticks(places[::step], names[::step], rotation=45, ha="right", fontsize=8)
    figure.suptitle("What each run cost (red: it failed)", fontsize=10)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    return drawn.getvalue()
