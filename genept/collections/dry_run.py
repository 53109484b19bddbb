"""A dry run of an ingest: everything is read, mapped and counted, and nothing is stored.

What a rehearsal refuses, the ingest would refuse with the same message; what it counts is what
the tables would hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from genept.collections.gene_names import coverage_of, mapping_rows, screened
from genept.collections.merging import ColumnTotals
from genept.collections.preflight import refuse_other_axis, refuse_other_unit
from genept.common.errors import breakage_refused
from genept.datasources.catalog.entries import Collection
from genept.datasources.download.archives import Archives
from genept.datasources.parsers import parse_sources
from genept.datasources.readers.parsed import LABELS, Quarantined
from genept.datasources.readers.values import checked_blocks
from genept.nomenclature.mapping import Nomenclature
from genept.nomenclature.reference import Reference


@dataclass(frozen=True)
class Noted:
    """Records of one kind that are kept out, fixed or warned of.

    Parameters
    ----------
    example
        The first of them: what it is, and why or how.
    """

    action: str
    reason: str
    n: int
    example: str


@dataclass(frozen=True)
class Rehearsed:
    """What an ingest would make.

    Parameters
    ----------
    mapping
        Rows of table `gene_mapping`.
    labels
        Label to its values and how often each occurs, most frequent first.
    """

    n_observations: int
    n_groups: int
    n_genes: int
    coverage: float
    mapping: pl.DataFrame = field(repr=False)
    labels: dict[str, dict[str, int]]
    noted: tuple[Noted, ...]
    warnings: tuple[str, ...]


def rehearse(archives: Archives, collection: Collection, reference: Reference) -> Rehearsed:
    """Read a whole collection as an ingest would, one block after the other.

    Raises
    ------
    SourceError
        A file cannot be read, or a value cannot be what the unit says.
    CollectionRefusedError, GeneNamesRefusedError
        It is not what its entry says, or too few of its genes are known.
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
    return Rehearsed(
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
