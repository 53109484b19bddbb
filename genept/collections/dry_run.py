"""Try an ingest out: everything is read, mapped and counted, and nothing is stored.

A dry run refuses what the ingest would refuse, with the same message. A user's file is opened in a
child process with limits; what it reports is checked here.
"""

import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from genept.collections.detection import Detected, detect
from genept.collections.merging import ColumnTotals
from genept.collections.sidecar import Sidecar
from genept.collections.table_rows import coverage_of, mapped_names, mapping_rows
from genept.collections.user_collections import local_archives, named_by_owner, user_sources
from genept.common import SourceError, breakage_refused
from genept.datasources import Collection, Source, parse_sources
from genept.datasources.download import Archives
from genept.datasources.readers import (
    LABELS,
    ChildResult,
    Limits,
    Parent,
    Quarantined,
    checked_blocks,
    limited,
)
from genept.nomenclature import Nomenclature, Reference


class Noted(BaseModel):
    """Records of one kind that are quarantined, repaired or warned of: `n`, such as `example`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: str
    reason: str
    n: int
    example: str


class DryRun(BaseModel):
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

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    n_observations: int
    n_groups: int
    n_genes: int
    coverage: float
    mapping: pl.DataFrame = Field(repr=False)
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
    names, screening = mapped_names(collection, parsed, reference)
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
    alike = defaultdict[tuple[str, str], list[Quarantined]](list)
    for record in records:
        alike[record.action, record.reason].append(record)
    noted = []
    for (action, reason), same in alike.items():
        first, n = same[0], sum(record.n for record in same)
        name = f"{first.item} {first.input_id}: " if first.input_id else ""
        noted.append(Noted(action=action, reason=reason, n=n, example=f"{name}{first.detail}"))
    return tuple(noted)


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


class _Report(Detected):
    """What a child process reports of a file; sources and files are filled in here."""

    dry_run: dict[str, Any] | None


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
    place = {"bucket": bucket, "product": product}
    arguments = (file, metadata, sidecar, reference, place, only_look)
    if limits is None:
        return _tried(*arguments)
    paths = [path for path in (file, metadata) if path is not None]
    sources = user_sources(paths, sidecar.id, terms=sidecar.terms, **place)
    with limited(_tried_in_child, *arguments, what=file.name, limits=limits) as answer:
        try:
            return _checked(answer, paths, sources, sidecar.id)
        except (TypeError, ValueError) as error:
            raise SourceError(
                f"{file.name}: the process that read it gave an answer that cannot be"
            ) from error


def _tried_in_child(parent: Parent, *arguments: Any) -> dict[str, Any]:
    """In the child: detect, and try out the ingest if nothing is open."""
    trial = _tried(*arguments)
    counted = trial.dry_run
    if counted is not None:
        parent.write_table("mapping", counted.mapping)
    return trial.detected.model_dump(mode="json", exclude={"sources", "files"}) | {
        "dry_run": counted and counted.model_dump(mode="json", exclude={"mapping"})
    }


def _tried(
    file: Path,
    metadata: Path | None,
    sidecar: Sidecar,
    reference: Reference,
    place: Mapping[str, str],
    only_look: bool,
) -> Trial:
    with breakage_refused(file.name):
        detected = detect(file, metadata, sidecar, Nomenclature(reference.index), **place)
        if only_look or detected.open_questions:
            return Trial(detected, None)
        with (
            tempfile.TemporaryDirectory(prefix="genept-") as folder,
            named_by_owner(detected.sources),
        ):
            archives = local_archives(detected.files, detected.sources, Path(folder))
            return Trial(detected, dry_run_ingest(archives, detected.entry, reference))


def _checked(
    answer: ChildResult, paths: list[Path], sources: tuple[Source, ...], id_: str
) -> Trial:
    """Validate what the child reports. Raises `ValueError` if it cannot be."""
    files = {source.id: path for source, path in zip(sources, paths, strict=True)}
    report = _Report.model_validate({**answer.values, "sources": sources, "files": files})
    if report.entry.sources != tuple(files) or report.entry.id != id_:
        raise ValueError("it is about other files")
    detected = Detected(**{name: getattr(report, name) for name in Detected.model_fields})
    if report.dry_run is None:
        return Trial(detected, None)
    mapping = answer.table("mapping")
    if any(mapping.schema.get(name) != pl.String for name in ("outcome", "input_id")):
        raise ValueError("its table is not a mapping")
    return Trial(detected, DryRun.model_validate(report.dry_run | {"mapping": mapping}))
