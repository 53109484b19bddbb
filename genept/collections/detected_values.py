"""What a look at a file's values tells: its unit, its labels, and whether counts lie elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl
import scipy.sparse as sp
from pydantic import ValidationError

from genept.collections import layouts
from genept.collections.preflight import MEANINGS, SAMPLED_OBSERVATIONS, UnitFinding, detect_unit
from genept.collections.sidecar import Sidecar, problems
from genept.common.errors import SourceError, setting
from genept.datasources.catalog.entries import Collection
from genept.datasources.catalog.matrix_options import Encoding, MetadataTable
from genept.datasources.catalog.source import Source
from genept.datasources.download.archives import Archives
from genept.datasources.parsers import parse_sources
from genept.datasources.readers.metadata import read_columns
from genept.datasources.readers.parsed import ParsedCollection

_CELLS: Final = ("h5ad", "tenx_h5", "tenx_mtx")


@dataclass
class _Look:
    """What has been found so far."""

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


def _labels(archives: Archives, sources: Sequence[Source], told: Sidecar, path: Path) -> _Labels:
    """Read a whole table of labels; how, may be said in the options."""
    given = told.options.get("metadata") or [{}]
    values = {"encoding": layouts.encoding_of(path)} | dict(given[0])
    try:
        table = MetadataTable.model_validate(values)
    except ValidationError as error:
        raise SourceError(f"option metadata: {problems(error)}") from error
    entry = _entry(_Look("table", {"metadata": [values]}), told, sources, "log2")
    return _Labels(path.name, read_columns(archives, entry, table, None), table.encoding)


def _unit(
    look: _Look, archives: Archives, sources: Sequence[Source], told: Sidecar
) -> UnitFinding | None:
    """Tell the unit by the values; ask where they do not tell."""
    if told.unit is not None:
        look.seen.append(f"unit: {told.unit}, as said")
        return None
    if look.format in ("tenx_h5", "tenx_mtx"):
        look.seen.append("unit: counts, as Cell Ranger writes them; each value is checked")
        return UnitFinding(("counts",), "", is_certain=True)
    found = _unit_of(_parsed(look, archives, sources, told))
    if look.format == "h5ad" and not found.are_counts and "matrix" not in look.options:
        found = _counts_elsewhere(look, lambda: _parsed(look, archives, sources, told)) or found
    if found.is_certain:
        look.seen.append(f"unit: {found.possible[0]} ({found.seen})")
    else:
        look.questions.append(_question_of_unit(found))
    return found


def _question_of_unit(found: UnitFinding) -> str:
    """What is not certain, why, and what to state for each of the units that it could be."""
    units = found.possible or tuple(MEANINGS)
    could = " or ".join(found.possible) or "in any unit"
    remedies = ", ".join(f"{setting('unit', unit)} for {MEANINGS[unit]}" for unit in units)
    whole = "" if "tpm" not in units else "; estimated counts (salmon, RSEM): round them first"
    open_ = "do not prove it" if len(found.possible) == 1 else "do not tell which"
    return (
        f"unit: the values could be {could}, and {open_} ({found.seen}): state the unit: "
        f"{remedies}{whole}"
    )


def _unit_of(parsed: ParsedCollection) -> UnitFinding:
    blocks = list(parsed.expression.blocks(0, SAMPLED_OBSERVATIONS))
    if not blocks:
        raise SourceError("it has no observations")
    return detect_unit(sp.csr_matrix(sp.vstack(blocks, format="csr")))


def _counts_elsewhere(look: _Look, parsed: Callable[[], ParsedCollection]) -> UnitFinding | None:
    """Counts in `raw` or a layer of an h5ad whose X holds something else."""
    named = [it for it in look.matrices if re.search(r"count|raw|umi", it) and it != "X"]
    for matrix in sorted(named, key=lambda it: it not in ("raw", "layers/counts")):
        look.options["matrix"] = matrix
        try:
            found = _unit_of(parsed())
        except SourceError:
            continue  # there is no such matrix
        if found.are_counts:
            look.seen.append(f"counts are in {matrix}, so that is read instead of X")
            return found
    look.options.pop("matrix", None)
    return None


def _parsed(
    look: _Look, archives: Archives, sources: Sequence[Source], told: Sidecar
) -> ParsedCollection:
    """The file read without a claim on its values: log2 may be anything."""
    return parse_sources(archives, _entry(look, told, sources, told.unit or "log2"))


def _entry(look: _Look, told: Sidecar, sources: Sequence[Source], unit: str) -> Collection:
    additive = unit in ("counts", "tpm")
    has_types = "cell_type" in look.options.get("labels", {})
    try:
        return Collection.model_validate(
            {
                "id": told.id,
                "title": told.title or sources[0].title,
                "kind": told.kind
                or ("single_cell" if look.format in _CELLS or has_types else "bulk"),
                "format": look.format,
                "sources": tuple(source.id for source in sources),
                "unit": unit,
                "duplicate_policy": told.duplicate_policy
                or ("sum" if additive else "highest_mean"),
                "annotation_release": told.annotation_release,
                "group_axis": look.options.get("group") or "observation",
                "caveat": told.caveat,
                **told.terms,
                "options": look.options,
            }
        )
    except ValidationError as error:
        raise SourceError(f"collection {told.id!r}: {problems(error)}") from error
