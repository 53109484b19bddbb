"""A user's file looked at, and its ingest tried out, in a process with limits.

Everything that opens the file happens in the child; here is what crosses between the two. What
is found out is `detection`'s and `rehearsal`'s business.
"""

from __future__ import annotations

import tempfile
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from genept.collections.detection import Detected, detect
from genept.collections.dry_run import Noted, Rehearsed, rehearse
from genept.collections.sidecar import Sidecar
from genept.collections.user_collections import local_archives, named_by_owner, own_sources
from genept.common.errors import SourceError, breakage_refused
from genept.datasources.catalog.entries import Collection
from genept.datasources.catalog.source import Source
from genept.datasources.readers.sandbox import Answer, limited
from genept.datasources.readers.sandbox_child import Parent
from genept.datasources.readers.sandbox_watch import Limits
from genept.nomenclature.mapping import Nomenclature
from genept.nomenclature.reference import Reference


@dataclass(frozen=True)
class Trial:
    """What was found out about a file.

    Parameters
    ----------
    rehearsed
        What an ingest would make; None while `detected` has open questions, or if only a look
        was asked for.
    """

    detected: Detected
    rehearsed: Rehearsed | None


class _Counted(BaseModel):
    """What a child says of a rehearsal, beside its mapping."""

    model_config = ConfigDict(extra="forbid")

    n_observations: int
    n_groups: int
    n_genes: int
    coverage: float
    labels: dict[str, dict[str, int]]
    noted: list[tuple[str, str, int, str]]
    warnings: list[str]


class _Found(BaseModel):
    """What a child says of a file."""

    model_config = ConfigDict(extra="forbid")

    entry: Collection
    seen: list[str]
    open_questions: list[str]
    rehearsed: _Counted | None


def try_out(
    file: Path,
    metadata: Path | None,
    told: Sidecar,
    reference: Reference,
    *,
    bucket: str,
    product: str,
    limits: Limits | None,
    only_look: bool = False,
) -> Trial:
    """Look at a file and try its ingest out, in a process with limits; nothing is stored.

    Parameters
    ----------
    metadata
        Table of its observations, joined by their ids.
    bucket, product
        Where the files will be stored.
    limits
        What the process may take; none: the file is trusted, and read in this process.
    only_look
        Detect only; the ingest is not tried out.

    Raises
    ------
    SourceError
        The file is nothing that is read, or is not what is said of it, or the process that read
        it died or went beyond a limit.
    """
    file, metadata = file.absolute(), metadata and metadata.absolute()
    place, paths = (bucket, product), [file] if metadata is None else [file, metadata]
    if limits is None:
        detected, rehearsed = _looked(file, metadata, told, reference, place, only_look)
        return Trial(detected, rehearsed)
    sources = own_sources(paths, told.id, bucket=bucket, product=product, terms=told.terms)
    with limited(
        _tried_out, file, metadata, told, reference, place, only_look, what=file.name, limits=limits
    ) as answer:
        return _checked(answer, paths, sources, told)


def _tried_out(
    parent: Parent,
    file: Path,
    metadata: Path | None,
    told: Sidecar,
    reference: Reference,
    place: tuple[str, str],
    only_look: bool,
) -> dict[str, Any]:
    """In the child: detect, and rehearse if nothing is open."""
    found, counted = _looked(file, metadata, told, reference, place, only_look)
    if counted is not None:
        parent.write_table("mapping", counted.mapping)
    return {
        "entry": found.entry.model_dump(mode="json"),
        "seen": found.seen,
        "open_questions": found.open_questions,
        "rehearsed": None
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


def _looked(
    file: Path,
    metadata: Path | None,
    told: Sidecar,
    reference: Reference,
    place: tuple[str, str],
    only_look: bool,
) -> tuple[Detected, Rehearsed | None]:
    bucket, product = place
    with breakage_refused(file.name):
        found = detect(
            file, metadata, told, Nomenclature(reference.index), bucket=bucket, product=product
        )
        if only_look or found.open_questions:
            return found, None
        with (
            tempfile.TemporaryDirectory(prefix="genept-") as folder,
            named_by_owner(found.sources),
        ):
            archives = local_archives(found.files, found.sources, Path(folder))
            return found, rehearse(archives, found.entry, reference)


def _checked(
    answer: Answer, paths: list[Path], sources: tuple[Source, ...], told: Sidecar
) -> Trial:
    """What the child says, if it can be so."""
    try:
        found = _Found.model_validate(answer.values)
    except ValidationError as error:
        raise _nonsense(paths[0]) from error
    if found.entry.id != told.id or found.entry.sources != tuple(one.id for one in sources):
        raise _nonsense(paths[0])
    detected = Detected(
        entry=found.entry,
        sources=sources,
        files=dict(zip(found.entry.sources, paths, strict=True)),
        seen=tuple(found.seen),
        open_questions=tuple(found.open_questions),
    )
    counted = found.rehearsed
    if counted is None:
        return Trial(detected, None)
    mapping = answer.table("mapping")
    if mapping.schema.get("outcome") != pl.String or mapping.schema.get("input_id") != pl.String:
        raise _nonsense(paths[0])
    rehearsed = Rehearsed(
        n_observations=counted.n_observations,
        n_groups=counted.n_groups,
        n_genes=counted.n_genes,
        coverage=counted.coverage,
        mapping=mapping,
        labels=counted.labels,
        noted=tuple(Noted(*noted) for noted in counted.noted),
        warnings=tuple(counted.warnings),
    )
    return Trial(detected, rehearsed)


def _nonsense(file: Path) -> SourceError:
    return SourceError(f"{file.name}: the process that read it gave an answer that cannot be")
