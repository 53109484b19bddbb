"""What the contents of a user's file show: unit, labels, groups, and matrices that hold counts.

Which axis is genes is `genept.collections.axes`; the unit by the values alone is
`genept.collections.preflight`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl
import scipy.sparse as sp
from pydantic import ValidationError

from genept.collections import layouts
from genept.collections.preflight import SAMPLED_OBSERVATIONS, UnitFinding, detect_unit
from genept.collections.sidecar import Sidecar, problems
from genept.common import SourceError, setting
from genept.datasources import parse_sources
from genept.datasources.catalog import Collection, Encoding, Label, MetadataTable, Source
from genept.datasources.download import Archives, open_text
from genept.datasources.readers import ParsedCollection, read_columns
from genept.datasources.readers.text import Lines, fields_of
from genept.schema import MEANINGS, UNITS, merge_policy

LABEL_NAMES: Final[dict[Label, tuple[str, ...]]] = {
    "cell_type": ("celltype", "celltypes", "annotation", "cellannotation", "celllabel"),
    "diagnosis": ("diagnosis", "disease", "diseasestate", "condition"),
    "tissue": ("tissue", "organ", "sourcename", "sourcenamech1"),
    "tissue_subtype": ("tissuesubtype", "subtissue", "cohort", "tissuetype"),
    "batch": ("batch", "plate", "lane", "library"),
}

GROUP_NAMES: Final = (
    *("donor", "donorid", "patient", "patientid", "subject", "subjectid"),
    *("individual", "individualid", "sampleid", "cellline", "modelid"),
)


def named_fields(
    fields: Sequence[str], labels: Mapping[Label, str], group: str | None
) -> tuple[dict[Label, str], str | None]:
    """Assign labels and group to fields, by the names that publishers use for them.

    Parameters
    ----------
    fields
        Names of the fields.
    labels, group
        What the user states; only the rest is looked for.

    Returns
    -------
    labels, group
        Field by label; and the field of the group, None if there is none.
    """
    chosen = dict(labels)
    taken = {*chosen.values(), group}
    free = [name for name in fields if name not in taken]
    for label, names in LABEL_NAMES.items():
        if label not in chosen and (name := _called(free, (label.replace("_", ""), *names))):
            chosen[label] = name
            free.remove(name)
    return chosen, group or _called(free, GROUP_NAMES)


def _called(fields: Sequence[str], names: Sequence[str]) -> str | None:
    plain = {
        re.sub(r"[^a-z0-9]", "", field_.rpartition(": ")[2].lower()): field_
        for field_ in fields[::-1]
    }
    return next((plain[name] for name in names if name in plain), None)


def geo_fields(path: Path, member: str | None, encoding: Encoding) -> tuple[str, ...]:
    """Fields of the samples that a GEO series matrix describes."""
    fields: dict[str, None] = {}
    with open_text(path, member, path.name, encoding=encoding) as stream:
        for line in Lines(stream, path.name, encoding):
            if line.startswith(b"!series_matrix_table_begin"):
                break
            if line.startswith(b"!Sample_"):
                name, *values = fields_of(line, b"\t", path.name, 0)
                name = name.removeprefix("!Sample_")
                keys = {value.partition(":")[0].strip() for value in values if ":" in value}
                if name.startswith("characteristics") and keys:
                    fields |= {f"characteristics: {key}": None for key in sorted(keys)}
                else:
                    fields[name] = None
    return tuple(fields)


_CELLS: Final = ("h5ad", "tenx_h5", "tenx_mtx")


@dataclass
class _Look:
    """What has been detected so far, and what is still open."""

    format: str
    options: dict[str, Any]
    seen: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    genes: set[str] = field(default_factory=set)
    matrices: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Labels:
    """A table of observations, as text, and how its file is encoded."""

    name: str
    frame: pl.DataFrame
    encoding: Encoding


def _labels(archives: Archives, sources: Sequence[Source], sidecar: Sidecar, path: Path) -> _Labels:
    """Read a whole table of labels, as the options say."""
    given = sidecar.options.get("metadata") or [{}]
    values = {"encoding": layouts.encoding_of(path)} | dict(given[0])
    try:
        table = MetadataTable.model_validate(values)
    except ValidationError as error:
        raise SourceError(f"option metadata: {problems(error)}") from error
    entry = _entry(_Look("table", {"metadata": [values]}), sidecar, sources, "log2")
    return _Labels(path.name, read_columns(archives, entry, table, None), table.encoding)


def _unit(
    look: _Look, archives: Archives, sources: Sequence[Source], sidecar: Sidecar
) -> UnitFinding | None:
    """Determine the unit from the values; add a question where they do not prove it."""
    if sidecar.unit is not None:
        look.seen.append(f"unit: {sidecar.unit}, as stated")
        return None
    if look.format in ("tenx_h5", "tenx_mtx"):
        look.seen.append("unit: counts, as Cell Ranger writes them; each value is checked")
        return UnitFinding(("counts",), "", is_certain=True)
    finding = _unit_of(_parsed(look, archives, sources, sidecar))
    if look.format == "h5ad" and not finding.are_counts and "matrix" not in look.options:
        finding = (
            _counts_elsewhere(look, lambda: _parsed(look, archives, sources, sidecar)) or finding
        )
    if finding.is_certain:
        look.seen.append(f"unit: {finding.possible[0]} ({finding.seen})")
    else:
        look.questions.append(_question_of_unit(finding))
    return finding


def _question_of_unit(finding: UnitFinding) -> str:
    """Ask for the unit: why it is not certain, and what to state for each possible one."""
    units = finding.possible or UNITS
    could = " or ".join(finding.possible) or "in any unit"
    remedies = ", ".join(f"{setting('unit', unit)} for {MEANINGS[unit]}" for unit in units)
    whole = "" if "tpm" not in units else "; estimated counts (salmon, RSEM): round them first"
    open_ = "do not prove it" if len(finding.possible) == 1 else "do not tell which"
    return (
        f"unit: the values could be {could}, and {open_} ({finding.seen}): state the unit: "
        f"{remedies}{whole}"
    )


def _unit_of(parsed: ParsedCollection) -> UnitFinding:
    blocks = list(parsed.expression.blocks(0, SAMPLED_OBSERVATIONS))
    if not blocks:
        raise SourceError("it has no observations")
    return detect_unit(sp.csr_matrix(sp.vstack(blocks, format="csr")))


def _counts_elsewhere(look: _Look, parsed: Callable[[], ParsedCollection]) -> UnitFinding | None:
    """Look for counts in `raw` or a layer of an h5ad whose X holds something else."""
    named = [it for it in look.matrices if re.search(r"count|raw|umi", it) and it != "X"]
    for matrix in sorted(named, key=lambda it: it not in ("raw", "layers/counts")):
        look.options["matrix"] = matrix
        try:
            finding = _unit_of(parsed())
        except SourceError:
            continue  # there is no such matrix
        if finding.are_counts:
            look.seen.append(f"counts are in {matrix}, so that is read instead of X")
            return finding
    look.options.pop("matrix", None)
    return None


def _parsed(
    look: _Look, archives: Archives, sources: Sequence[Source], sidecar: Sidecar
) -> ParsedCollection:
    """Parse the file without a check of its values: any number can be log2."""
    return parse_sources(archives, _entry(look, sidecar, sources, sidecar.unit or "log2"))


def _entry(look: _Look, sidecar: Sidecar, sources: Sequence[Source], unit: str) -> Collection:
    has_types = "cell_type" in look.options.get("labels", {})
    try:
        return Collection.model_validate(
            {
                "id": sidecar.id,
                "title": sidecar.title or sources[0].title,
                "kind": sidecar.kind
                or ("single_cell" if look.format in _CELLS or has_types else "bulk"),
                "format": look.format,
                "sources": tuple(source.id for source in sources),
                "unit": unit,
                "duplicate_policy": sidecar.duplicate_policy or merge_policy(unit),
                "annotation_release": sidecar.annotation_release,
                "group_axis": look.options.get("group") or "observation",
                "caveat": sidecar.caveat,
                **sidecar.terms,
                "options": look.options,
            }
        )
    except ValidationError as error:
        raise SourceError(f"collection {sidecar.id!r}: {problems(error)}") from error
