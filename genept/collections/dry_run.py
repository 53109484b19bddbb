"""Try an ingest out: everything is read, mapped and counted, and nothing is stored.

A dry run refuses what the ingest would refuse, with the same message, and counts what the tables
would hold. A user's file is opened in a child process with limits; the messages that cross between
the two are checked here. Detection itself is `genept.collections.detection`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from genept.collections.detection import Detected, detect
from genept.collections.merging import ColumnTotals
from genept.collections.preflight import refuse_other_axis, refuse_other_unit
from genept.collections.sidecar import Sidecar
from genept.collections.table_rows import coverage_of, mapping_rows, screened
from genept.collections.user_collections import local_archives, named_by_owner, user_sources
from genept.common import SourceError, breakage_refused
from genept.datasources import parse_sources
from genept.datasources.catalog import Collection, Source
from genept.datasources.download import Archives
from genept.datasources.readers import (
    LABELS,
    Answer,
    Limits,
    Parent,
    Quarantined,
    checked_blocks,
    limited,
)
from genept.nomenclature import Nomenclature, Reference


@dataclass(frozen=True)
class Noted:
    """Records of one kind that are quarantined, repaired or warned of.

    Parameters
    ----------
    action, reason
        As in table `quarantine`.
    n
        How many there are.
    example
        The first of them: what it is, and why or how.
    """

    action: str
    reason: str
    n: int
    example: str


@dataclass(frozen=True)
class DryRun:
    """What an ingest would make.

    Parameters
    ----------
    n_observations, n_groups, n_genes
        Sizes of the collection.
    coverage
        Share of the expression that maps to a gene, 0 to 1.
    mapping
        Rows of table `gene_mapping`.
    labels
        By label: its values and how often each occurs, most frequent first.
    noted
        What would be quarantined, repaired or warned of.
    warnings
        Warnings about gene names.
    """

    n_observations: int
    n_groups: int
    n_genes: int
    coverage: float
    mapping: pl.DataFrame = field(repr=False)
    labels: dict[str, dict[str, int]]
    noted: tuple[Noted, ...]
    warnings: tuple[str, ...]


def dry_run_ingest(archives: Archives, collection: Collection, reference: Reference) -> DryRun:
    """Read a whole collection as an ingest would, block by block.

    Parameters
    ----------
    archives
        Where its files are.
    collection
        Its catalogue entry.
    reference
        The gene reference.

    Returns
    -------
    DryRun
        What the tables would hold.

    Raises
    ------
    SourceError
        A file cannot be read, or a value is impossible in the declared unit.
    CollectionRefusedError, GeneNamesRefusedError
        The collection contradicts its entry, or too few of its genes are known.
    """
    parsed = parse_sources(archives, collection)
    names = Nomenclature(reference.index).map(parsed.symbols, parsed.entrez_ids).rows
    refuse_other_axis(collection, parsed, names, reference)
    refuse_other_unit(collection, parsed)
    screening = screened(collection, parsed, names)
    ids = parsed.observations["observation_id"].to_list()
    totals, filled = ColumnTotals(len(parsed.input_genes)), 0
    blocks = checked_blocks(parsed.expression, ids, collection.unit, inputs=parsed.input_genes)
    with breakage_refused(archives.catalogue.source(collection.sources[0]).title):
        for block in blocks:
            totals.add(block)
            filled += int(np.count_nonzero(np.diff(block.indptr)))
    absolute = pl.DataFrame({"input_id": parsed.input_genes, "absolute": totals.absolute})
    mapping = mapping_rows(collection, parsed, names, absolute, reference.release)
    records = [*parsed.quarantined, *parsed.remarks]
    if empty := len(ids) - filled:
        example = f"{empty:,} observations have no value other than zero"
        records.append(Quarantined("observation", "", "empty", example, empty))
    return DryRun(
        n_observations=filled,
        n_groups=parsed.observations["group_id"].n_unique(),
        n_genes=len({gene for gene in screening.genes if gene is not None}),
        coverage=coverage_of(collection, mapping),
        mapping=mapping,
        labels=_labels(parsed.observations),
        noted=_noted(records),
        warnings=screening.warnings,
    )


def _noted(records: Sequence[Quarantined]) -> tuple[Noted, ...]:
    noted: dict[tuple[str, str], Noted] = {}
    for record in records:
        key = record.action, record.reason
        if key in noted:
            noted[key] = replace(noted[key], n=noted[key].n + record.n)
        else:
            name = f"{record.item} {record.input_id}: " if record.input_id else ""
            noted[key] = Noted(*key, record.n, f"{name}{record.detail}")
    return tuple(noted.values())


def _labels(observations: pl.DataFrame) -> dict[str, dict[str, int]]:
    counted = {}
    for label in LABELS:
        values = observations[label].drop_nulls()
        if values.len():
            counts = values.value_counts().sort("count", label, descending=[True, False])
            counted[label] = dict(counts.iter_rows())
    return counted


@dataclass(frozen=True)
class Trial:
    """Result of trying a file out.

    Parameters
    ----------
    detected
        The proposed entry and open questions.
    dry_run
        What an ingest would make; None if there are open questions, or only detection was asked
        for.
    """

    detected: Detected
    dry_run: DryRun | None


class _Counted(BaseModel):
    """What a child process reports of a dry run, beside its mapping."""

    model_config = ConfigDict(extra="forbid")

    n_observations: int
    n_groups: int
    n_genes: int
    coverage: float
    labels: dict[str, dict[str, int]]
    noted: list[tuple[str, str, int, str]]
    warnings: list[str]


class _Report(BaseModel):
    """What a child process reports of a file."""

    model_config = ConfigDict(extra="forbid")

    entry: Collection
    seen: list[str]
    open_questions: list[str]
    dry_run: _Counted | None


def try_out(
    file: Path,
    metadata: Path | None,
    sidecar: Sidecar,
    reference: Reference,
    *,
    bucket: str,
    product: str,
    limits: Limits | None,
    only_look: bool = False,
) -> Trial:
    """Detect a file's contents and try its ingest out, in a process with limits; nothing is stored.

    Parameters
    ----------
    file
        The matrix.
    metadata
        Table of its observations, joined by their ids; None if there is none.
    sidecar
        What the owner states.
    reference
        The gene reference.
    bucket, product
        Where the files will be stored.
    limits
        Limits of the process; None: the file is trusted, and read in this process.
    only_look
        Detect only; do not try the ingest out.

    Returns
    -------
    Trial
        The proposed entry, and the dry run.

    Raises
    ------
    SourceError
        The file cannot be read or contradicts what is stated, or the process that read it died or
        exceeded a limit.
    """
    file, metadata = file.absolute(), metadata and metadata.absolute()
    place, paths = (bucket, product), [file] if metadata is None else [file, metadata]
    if limits is None:
        detected, dry_run = _detect_and_dry_run(
            file, metadata, sidecar, reference, place, only_look
        )
        return Trial(detected, dry_run)
    sources = user_sources(paths, sidecar.id, bucket=bucket, product=product, terms=sidecar.terms)
    with limited(
        _try_out_in_child,
        file,
        metadata,
        sidecar,
        reference,
        place,
        only_look,
        what=file.name,
        limits=limits,
    ) as answer:
        return _checked(answer, paths, sources, sidecar)


def _try_out_in_child(
    parent: Parent,
    file: Path,
    metadata: Path | None,
    sidecar: Sidecar,
    reference: Reference,
    place: tuple[str, str],
    only_look: bool,
) -> dict[str, Any]:
    """In the child: detect, and try out the ingest if nothing is open."""
    detected, counted = _detect_and_dry_run(file, metadata, sidecar, reference, place, only_look)
    if counted is not None:
        parent.write_table("mapping", counted.mapping)
    return {
        "entry": detected.entry.model_dump(mode="json"),
        "seen": detected.seen,
        "open_questions": detected.open_questions,
        "dry_run": None
        if counted is None
        else {
            "n_observations": counted.n_observations,
            "n_groups": counted.n_groups,
            "n_genes": counted.n_genes,
            "coverage": counted.coverage,
            "labels": counted.labels,
            "noted": [astuple(noted) for noted in counted.noted],
            "warnings": counted.warnings,
        },
    }


def _detect_and_dry_run(
    file: Path,
    metadata: Path | None,
    sidecar: Sidecar,
    reference: Reference,
    place: tuple[str, str],
    only_look: bool,
) -> tuple[Detected, DryRun | None]:
    bucket, product = place
    with breakage_refused(file.name):
        detected = detect(
            file, metadata, sidecar, Nomenclature(reference.index), bucket=bucket, product=product
        )
        if only_look or detected.open_questions:
            return detected, None
        with (
            tempfile.TemporaryDirectory(prefix="genept-") as folder,
            named_by_owner(detected.sources),
        ):
            archives = local_archives(detected.files, detected.sources, Path(folder))
            return detected, dry_run_ingest(archives, detected.entry, reference)


def _checked(
    answer: Answer, paths: list[Path], sources: tuple[Source, ...], sidecar: Sidecar
) -> Trial:
    """Validate what the child reports."""
    try:
        report = _Report.model_validate(answer.values)
    except ValidationError as error:
        raise _invalid_answer(paths[0]) from error
    if report.entry.id != sidecar.id or report.entry.sources != tuple(
        source.id for source in sources
    ):
        raise _invalid_answer(paths[0])
    detected = Detected(
        entry=report.entry,
        sources=sources,
        files=dict(zip(report.entry.sources, paths, strict=True)),
        seen=tuple(report.seen),
        open_questions=tuple(report.open_questions),
    )
    counted = report.dry_run
    if counted is None:
        return Trial(detected, None)
    mapping = answer.table("mapping")
    if mapping.schema.get("outcome") != pl.String or mapping.schema.get("input_id") != pl.String:
        raise _invalid_answer(paths[0])
    dry_run = DryRun(
        n_observations=counted.n_observations,
        n_groups=counted.n_groups,
        n_genes=counted.n_genes,
        coverage=counted.coverage,
        mapping=mapping,
        labels=counted.labels,
        noted=tuple(Noted(*noted) for noted in counted.noted),
        warnings=tuple(counted.warnings),
    )
    return Trial(detected, dry_run)


def _invalid_answer(file: Path) -> SourceError:
    return SourceError(f"{file.name}: the process that read it gave an answer that cannot be")
