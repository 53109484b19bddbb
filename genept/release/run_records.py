"""What a run cost, as table `run_metrics`, and the bill of materials of what computed it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
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

from genept.common.display import new_figure
from genept.schema.tables import WORKING_TABLES
from genept.storage.lake import Lake
from genept.storage.provenance import NewPart, Origin, Part

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
    origin = Origin(code=("genept.schema.tables",), settings={"run": run_id})

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


PLATFORM: Final = "genept-platform"

EXTRAS: Final = ("platform",)
"""Of the platform's own extras, what a run needs."""

PAGE: Final = "sbom.cdx.json"
"""Its path in the audit of a release."""


_SERIAL_NUMBERS: Final = UUID("6f0d1c52-5d6c-5b0e-9d8a-4d8e6a4f0c11")

_LONGEST_LICENCE: Final = 120
"""Some packages put the licence's whole text where its name belongs."""


def bill_of_materials(found: Iterable[Distribution] | None = None) -> bytes:
    """CycloneDX 1.6, as JSON: every installed distribution, its licence, and what it requires.

    Parameters
    ----------
    found
        The distributions; by default all that this Python sees, the platform among them.
    """
    installed: dict[str, PackageMetadata] = {}
    for one in distributions() if found is None else found:
        stated = one.metadata  # parsed anew each time it is asked for
        if stated["Name"]:  # a folder that an interrupted uninstall left behind has none
            installed.setdefault(canonicalize_name(stated["Name"]), stated)
    components = {name: _component(name, one) for name, one in sorted(installed.items())}
    bom = Bom()
    bom.metadata.timestamp = None  # type: ignore[assignment] # the schema has it optional
    bom.metadata.component = components.get(PLATFORM)
    bom.components = [one for name, one in components.items() if name != PLATFORM]
    for name, component in components.items():
        extras = ("", *EXTRAS) if name == PLATFORM else ("",)
        required = _required(installed[name], extras) & set(components) - {name}
        bom.register_dependency(component, [components[other] for other in sorted(required)])
    named = "\n".join(str(one.purl) for one in components.values())
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
    """As the package states it: its SPDX expression, else its name, else its classifier."""
    stated = [*installed.get_all("License-Expression", ()), *installed.get_all("License", ())]
    stated += [
        one.rpartition(" :: ")[2]
        for one in installed.get_all("Classifier", ())
        if one.startswith("License ::")
    ]
    for one in stated:
        text = " ".join(one.split())
        if text and text != "UNKNOWN" and len(text) <= _LONGEST_LICENCE:
            return LicenseFactory().make_from_string(text)
    return None


def _required(installed: PackageMetadata, extras: Sequence[str]) -> set[str]:
    """Names of what it requires here with these extras; the empty one is what all need."""
    names: set[str] = set()
    for line in installed.get_all("Requires-Dist", ()):
        try:
            requirement = Requirement(line)
        except InvalidRequirement:  # an old package's own spelling; its name is readable
            names.add(canonicalize_name(re.split(r"[^\w.-]", line)[0]))
            continue
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": one}) for one in extras):
            names.add(canonicalize_name(requirement.name))
    return names
