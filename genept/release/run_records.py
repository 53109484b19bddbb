"""Records of a run: its costs as table `run_metrics`, pictures in its log, and its software bill
of materials (SBOM).

Reading the costs from Dagster is in `orchestration.run_metrics`.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import Distribution, PackageMetadata, distributions
from typing import Any, Final
from uuid import UUID, uuid5

import polars as pl
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

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


PLATFORM: Final = "genept-platform"

EXTRAS: Final = ("platform",)
"""Extras of the platform that a run needs."""

PAGE: Final = "sbom.cdx.json"
"""Path of the SBOM in the audit of a release."""


_SERIAL_NUMBERS: Final = UUID("6f0d1c52-5d6c-5b0e-9d8a-4d8e6a4f0c11")

_LONGEST_LICENCE: Final = 120
"""Some packages give the full text of the licence in place of its name."""


def bill_of_materials(packages: Iterable[Distribution] | None = None) -> bytes:
    """Return a CycloneDX 1.6 document: all installed distributions, licences and requirements.

    Parameters
    ----------
    packages
        The distributions; by default all that are installed, including the platform.

    Returns
    -------
    bytes
        JSON in UTF-8; equal for equal installations.
    """
    installed: dict[str, PackageMetadata] = {}
    for distribution in distributions() if packages is None else packages:
        metadata = distribution.metadata  # each access parses it again
        if metadata["Name"]:  # an interrupted uninstall may leave a folder without a name
            installed.setdefault(canonicalize_name(metadata["Name"]), metadata)
    components = {name: _component(name, metadata) for name, metadata in sorted(installed.items())}
    bom = Bom()
    bom.metadata.timestamp = None  # type: ignore[assignment] # the schema has it optional
    bom.metadata.component = components.get(PLATFORM)
    bom.components = [component for name, component in components.items() if name != PLATFORM]
    for name, component in components.items():
        extras = ("", *EXTRAS) if name == PLATFORM else ("",)
        required = _required(installed[name], extras) & set(components) - {name}
        bom.register_dependency(component, [components[other] for other in sorted(required)])
    named = "\n".join(str(component.purl) for component in components.values())
    bom.serial_number = uuid5(_SERIAL_NUMBERS, named)
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    return json.dumps(document, indent=1, sort_keys=True).encode()


def _component(name: str, installed: PackageMetadata) -> Component:
    purl = PackageURL("pypi", name=name, version=installed["Version"])
    licence = _licence(installed)
    return Component(
        name=name,
        version=installed["Version"],
        type=ComponentType.APPLICATION if name == PLATFORM else ComponentType.LIBRARY,
        purl=purl,
        bom_ref=str(purl),
        licenses=[licence] if licence else None,
    )


def _licence(installed: PackageMetadata) -> License | None:
    """The licence that a package states: SPDX expression, name or classifier, in this order."""
    stated = [*installed.get_all("License-Expression", ()), *installed.get_all("License", ())]
    stated += [
        classifier.rpartition(" :: ")[2]
        for classifier in installed.get_all("Classifier", ())
        if classifier.startswith("License ::")
    ]
    for statement in stated:
        text = " ".join(statement.split())
        if text and text != "UNKNOWN" and len(text) <= _LONGEST_LICENCE:
            return LicenseFactory().make_from_string(text)
    return None


def _required(installed: PackageMetadata, extras: Sequence[str]) -> set[str]:
    """Names of the requirements on this machine with these extras, or without if empty."""
    names: set[str] = set()
    for line in installed.get_all("Requires-Dist", ()):
        try:
            requirement = Requirement(line)
        except InvalidRequirement:  # invalid requirement of an old package; its name is readable
            names.add(canonicalize_name(re.split(r"[^\w.-]", line)[0]))
            continue
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
            names.add(canonicalize_name(requirement.name))
    return names
