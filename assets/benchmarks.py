"""Group `benchmarks`: labels of genes, and every representation on every task, beside controls."""

from collections.abc import Callable, Iterator, Sequence

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`
import polars as pl

from assets.results import (
    MEMORY,
    READ,
    declared_outs,
    ingested,
    inputs,
    parts_of,
    table_result,
    with_further,
)
from assets.sources import source_key
from genept.benchmarks import fates, run_tasks
from genept.benchmarks.tasks import (
    Labels,
    SpaceVectors,
    program_activity,
    score_cells,
    space_programs,
    too_few_cells,
)
from genept.client import Platform
from genept.datasources import MEMBERS as LABEL_ARCHIVES
from genept.datasources import Collection
from genept.embeddings import is_labelled
from genept.storage import Part, StoredTable

LABELS = ("gene_properties", "gene_pairs")
RESULTS = ("benchmark_results", "benchmark_comparisons", "benchmark_confusions")

PROGRAMS = ("gene_programs", "program_terms", "program_activity")
FROM_GENES = ("gene_embeddings", "gene_properties")


@dg.multi_asset(outs=declared_outs(LABELS), deps=[source_key(source) for source in LABEL_ARCHIVES])
def gene_labels(
    platform: dg.ResourceParam[Platform], genes: StoredTable
) -> Iterator[dg.MaterializeResult[StoredTable]]:
    """Labels of genes and of pairs, from the sources that are available."""
    parts = platform.label_parts(genes.part())
    for name in LABELS:
        stored = platform.lake.assemble(name, parts)
        yield table_result(stored, **fates(platform.lake.read(stored)))


@dg.multi_asset(
    outs=declared_outs(RESULTS),
    ins=inputs(*READ, "cell_embeddings", *FROM_GENES, "gene_pairs", "gene_descriptions"),
    pool=MEMORY,
)
def benchmarks(
    context: dg.AssetExecutionContext,
    platform: dg.ResourceParam[Platform],
    **tables: StoredTable,
) -> Iterator[dg.MaterializeResult[StoredTable]]:
    """Every task on genes, and on the cells of every single-cell collection."""
    labels = Labels(*(platform.lake.read(tables[name]) for name in LABELS))
    spaces = _entrants(platform, tables["gene_embeddings"])
    cells, unscored = _cell_tasks(platform, tables, context.log.info)
    texts = [space for space in platform.spaces if space.is_text]
    costs = [
        platform.cost(space, tables["gene_descriptions"], number)
        for number, space in enumerate(texts)
    ]
    further = [*cells, *costs, *_programs(platform, spaces, labels.properties)]
    parts, remarks = run_tasks(
        platform.lake, labels, spaces, further=further,
        advance=lambda task, share: context.log.info(f"{task} ({share:.0%} done)"),
    )  # fmt: skip
    metadata = {f"not scored/{label}": reason for label, reason in (remarks | unscored).items()}
    for name in RESULTS:
        yield table_result(platform.lake.assemble(name, parts), **metadata)


@dg.multi_asset(
    outs=declared_outs(PROGRAMS),
    ins=inputs(*READ, "cell_embeddings", *FROM_GENES),
    pool=MEMORY,
)
def programs_of_genes(
    platform: dg.ResourceParam[Platform], **tables: StoredTable
) -> Iterator[dg.MaterializeResult[StoredTable]]:
    """Genes that lie together in each space, what they share, and where they are active."""
    properties = platform.lake.read(tables["gene_properties"])
    parts = _programs(platform, _entrants(platform, tables["gene_embeddings"]), properties)
    for collection in _single_cell(platform, tables):
        collection_parts = parts_of(platform, collection, tables)
        if not is_labelled(platform.lake, collection_parts.observations, "cell_type"):
            continue
        parts += [
            program_activity(platform.lake, part, collection.id, collection.unit, collection_parts)
            for part in parts
            if part.table == "gene_programs"
        ]
    for name in PROGRAMS:
        yield table_result(platform.lake.assemble(name, parts))


def _entrants(platform: Platform, embeddings: StoredTable) -> list[SpaceVectors]:
    return [platform.entrant(space, embeddings.part(space.id)) for space in platform.spaces]


def _programs(
    platform: Platform, spaces: Sequence[SpaceVectors], properties: pl.DataFrame
) -> list[Part]:
    """Programs of every space that is not a control."""
    entrants = [vectors for vectors in spaces if not vectors.space.is_control]
    return [
        part
        for number, vectors in enumerate(entrants)
        for part in space_programs(platform.lake, vectors, properties, number)
    ]


def _single_cell(platform: Platform, tables: dict[str, StoredTable]) -> list[Collection]:
    collections = ingested(platform, tables["observations"])
    return [collection for collection in collections if collection.kind == "single_cell"]


def _cell_tasks(
    platform: Platform, tables: dict[str, StoredTable], advance: Callable[[str], None]
) -> tuple[list[Part], dict[str, str]]:
    """Scores of every single-cell collection with enough cells; for the others, the reason."""
    parts: list[Part] = []
    unscored: dict[str, str] = {}
    for collection in _single_cell(platform, tables):
        collection_parts = parts_of(platform, collection, tables)
        if reason := too_few_cells(
            platform.lake, collection_parts.observations, collection_parts.axis
        ):
            unscored[collection.id] = reason
            continue
        collection_parts, left_out = with_further(collection_parts, collection, tables)
        unscored |= left_out
        parts += score_cells(
            platform.lake, collection.id, collection.unit, collection_parts, advance=advance
        )
    return parts, unscored
