"""What the contents of a user's file show: unit, labels, groups, and matrices that hold counts.

Which axis is genes is `genept.collections.axes`; the unit by the values alone is
`genept.collections.preflight`.
"""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import polars as pl
from pydantic import ValidationError

from genept.collections import layouts
from genept.collections.preflight import UnitFinding, unit_of_first
from genept.collections.sidecar import Sidecar
from genept.common import SourceError, problems_of, setting
from genept.datasources import Collection, Encoding, Label, MetadataTable, Source, parse_sources
from genept.datasources.download import Archives, open_text
from genept.datasources.readers import Lines, ParsedCollection, fields_of, read_columns
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


@dataclass(frozen=True)
class LabelTable:
    """A table of observations, as text, and how its file is encoded."""

    name: str
    frame: pl.DataFrame
    encoding: Encoding


@dataclass
class Look:
    """A user's file with its owner's statements, what has been detected so far, and what is open.

    Parameters
    ----------
    archives, sources
        Where its files are.
    sidecar
        What the owner states.
    format, options
        How the file is read.
    seen, questions
        What was detected, and what the owner must state, one line each.
    fields, texts, genes
        Columns that may be labels; those that are text; those that are genes.
    matrices
        Matrices of an h5ad.
    """

    archives: Archives
    sources: Sequence[Source]
    sidecar: Sidecar
    format: str
    options: dict[str, Any]
    seen: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    genes: set[str] = field(default_factory=set)
    matrices: list[str] = field(default_factory=list)

    def entry(self, unit: str) -> Collection:
        """The catalogue entry, as far as it is known."""
        sidecar = self.sidecar
        is_single_cell = self.format in _CELLS or "cell_type" in self.options.get("labels", {})
        try:
            return Collection.model_validate(
                {
                    "id": sidecar.id,
                    "title": sidecar.title or self.sources[0].title,
                    "kind": sidecar.kind or ("single_cell" if is_single_cell else "bulk"),
                    "format": self.format,
                    "sources": tuple(source.id for source in self.sources),
                    "unit": unit,
                    "counts_of": sidecar.counts_of if unit == "counts" else None,
                    "duplicate_policy": sidecar.duplicate_policy or merge_policy(unit),
                    "annotation_release": sidecar.annotation_release,
                    "group_axis": self.options.get("group") or "observation",
                    "caveat": sidecar.caveat,
                    **sidecar.terms,
                    "options": self.options,
                }
            )
        except ValidationError as error:
            raise SourceError(f"collection {sidecar.id!r}: {problems_of(error)}") from error

    def parsed(self) -> ParsedCollection:
        """Parse the file without a check of its values: any number can be log2."""
        return parse_sources(self.archives, self.entry(self.sidecar.unit or "log2"))

    def labels(self, path: Path) -> LabelTable:
        """Read a whole table of labels, as the options say."""
        given = self.sidecar.options.get("metadata") or [{}]
        values = {"encoding": layouts.encoding_of(path)} | dict(given[0])
        try:
            table = MetadataTable.model_validate(values)
        except ValidationError as error:
            raise SourceError(f"option metadata: {problems_of(error)}") from error
        entry = replace(self, format="table", options={"metadata": [values]}).entry("log2")
        frame = read_columns(self.archives, entry, table, None)
        return LabelTable(path.name, frame, table.encoding)

    def leave_out_texts(self, used: Container[str | None] = ()) -> None:
        """Leave out columns of text that are neither label nor group."""
        if unused := [name for name in self.texts if name not in used]:
            self.options["ignore"] = [*self.options.get("ignore", ()), *unused]

    def unit(self) -> str:
        """Determine the unit from the values; add a question where they do not prove it."""
        if self.sidecar.unit is not None:
            self.seen.append(f"unit: {self.sidecar.unit}, as stated")
            return self.sidecar.unit
        if self.format in ("tenx_h5", "tenx_mtx"):
            self.seen.append("unit: counts, as Cell Ranger writes them; each value is checked")
            return "counts"
        finding = _unit_of(self.parsed())
        if self.format == "h5ad" and not finding.are_counts and "matrix" not in self.options:
            finding = self._counts_elsewhere() or finding
        if finding.is_certain:
            self.seen.append(f"unit: {finding.possible[0]} ({finding.seen})")
        else:
            self.questions.append(_question_of_unit(finding))
        return finding.possible[0] if finding.possible else "counts"

    def _counts_elsewhere(self) -> UnitFinding | None:
        """Look for counts in `raw` or a layer of an h5ad whose X holds something else."""
        named = [
            name for name in self.matrices if re.search(r"count|raw|umi", name) and name != "X"
        ]
        for matrix in sorted(named, key=lambda name: name not in ("raw", "layers/counts")):
            self.options["matrix"] = matrix
            try:
                finding = _unit_of(self.parsed())
            except SourceError:
                continue  # there is no such matrix
            if finding.are_counts:
                self.seen.append(f"counts are in {matrix}, so that is read instead of X")
                return finding
        self.options.pop("matrix", None)
        return None


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
    finding = unit_of_first(parsed)
    if finding is None:
        raise SourceError("it has no observations")
    return finding
