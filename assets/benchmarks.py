"""Group `benchmarks`: labels of genes, and every representation on every task, beside controls."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`
import polars as pl

from assets.embeddings import VECTORS
from assets.partitions import (
    COLLECTIONS,
    PartitionTables,
    along,
    partition_result,
    record_partitions,
)
from assets.results import (
    EVALUATION_INPUTS,
    MEMORY,
    declared_outs,
    described,
    ingested,
    inputs,
    parts_of,
    table_result,
    with_further,
)
from assets.sources import source_key
from genept.benchmarks import (
    Labels,
    SpaceVectors,
    fates,
    program_activity,
    run_tasks,
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


SCORES = dg.AssetKey("collection_scores")


@dg.asset(
    key=SCORES,
    **described(
        "benchmarks",
        "The tasks on the cells of one collection: every representation, beside its controls. "
        "Materialise one to score only that collection; the tables take the parts over.",
        "benchmark_results",
    ),
    partitions_def=COLLECTIONS,
    ins={VECTORS.path[-1]: along("collection")},
    pool=MEMORY,
)
def collection_scores(
    context: dg.AssetExecutionContext,
    platform: dg.ResourceParam[Platform],
    ingested_collection: PartitionTables,
    observation_vectors: PartitionTables,
) -> dg.MaterializeResult[PartitionTables]:
    """Score the cells of one collection; of bulk samples, models are scored instead."""
    (collection,) = platform.catalogue.chosen([context.partition_key])
    if collection.kind != "single_cell":
        return partition_result(
            platform.lake, [], unscored="bulk samples: their models are scored in group models"
        )
    tables = {**ingested_collection, **observation_vectors}
    parts, unscored = _cell_tasks(platform, collection, tables, context.log.info)
    return partition_result(platform.lake, parts, **unscored)


@dg.multi_asset(
    outs=declared_outs(RESULTS),
    ins=inputs(
        *EVALUATION_INPUTS, "cell_embeddings", *FROM_GENES, "gene_pairs", "gene_descriptions"
    ),
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
    cells: dict[str, list[Part]] = {}
    unscored: dict[str, str] = {}
    for collection in _single_cell(platform, tables):
        scored = _cell_tasks(platform, collection, tables, context.log.info)
        cells[collection.id], unscored = scored[0], unscored | scored[1]
    record_partitions(context, platform.lake, SCORES, cells)
    texts = [space for space in platform.spaces if space.is_text]
    costs = [
        platform.cost(space, tables["gene_descriptions"], number)
        for number, space in enumerate(texts)
    ]
    further = [
        *chain.from_iterable(cells.values()),
        *costs,
        *_programs(platform, spaces, labels.properties),
    ]
    parts, remarks = run_tasks(
        platform.lake, labels, spaces, further=further,
        advance=lambda task, share: context.log.info(f"{task} ({share:.0%} done)"),
    )  # fmt: skip
    metadata = {f"not scored/{label}": reason for label, reason in (remarks | unscored).items()}
    for name in RESULTS:
        yield table_result(platform.lake.assemble(name, parts), **metadata)


@dg.multi_asset(
    outs=declared_outs(PROGRAMS),
    ins=inputs(*EVALUATION_INPUTS, "cell_embeddings", *FROM_GENES),
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
    platform: Platform,
    collection: Collection,
    tables: Mapping[str, StoredTable],
    advance: Callable[[str], None],
) -> tuple[list[Part], dict[str, str]]:
    """Scores of one single-cell collection, and what was not scored, with the reason."""
    parts = parts_of(platform, collection, tables)
    if reason := too_few_cells(platform.lake, parts.observations, parts.axis):
        return [], {collection.id: reason}
    parts, left_out = with_further(parts, collection, tables)
    scored = score_cells(platform.lake, collection.id, collection.unit, parts, advance=advance)
    return scored, left_out
