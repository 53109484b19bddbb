"""Group `benchmarks`: labels of genes, and every representation on every task, beside controls."""

from itertools import chain

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.collection_inputs import OF_COLLECTION
from assets.declarations import EVALUATION_INPUTS, MEMORY, declared_outs, described, inputs
from assets.partitions import COLLECTIONS, record_partitions
from assets.results import (
    Context,
    PartitionResult,
    PartitionTables,
    PlatformResource,
    TableResults,
    partition_result,
    table_result,
    table_results,
)
from assets.sources import source_key
from genept import benchmarks as library
from genept.datasources import MEMBERS as LABEL_ARCHIVES
from genept.storage import StoredTable

LABELS = ("gene_properties", "gene_pairs")
RESULTS = ("benchmark_results", "benchmark_comparisons", "benchmark_confusions")
PROGRAMS = ("gene_programs", "program_terms", "program_activity")
_READ = (*EVALUATION_INPUTS, "cell_embeddings", "gene_embeddings", "gene_properties")
_SCORED = (*_READ, "gene_pairs", "gene_descriptions", "gene_names")


@dg.multi_asset(outs=declared_outs(LABELS), deps=[source_key(source) for source in LABEL_ARCHIVES])
def gene_labels(platform: PlatformResource, genes: StoredTable) -> TableResults:
    """Labels of genes and of pairs, from the sources that are available."""
    parts = platform.label_parts(genes.part())
    for name in LABELS:
        stored = platform.lake.assemble(name, parts)
        yield table_result(stored, **library.fates(platform.lake.read(stored)))


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
    ins=OF_COLLECTION,
    pool=MEMORY,
)
def collection_scores(
    context: Context, platform: PlatformResource, gene_names: StoredTable, **parts: PartitionTables
) -> PartitionResult:
    """Score the cells of one collection; of bulk samples, models are scored instead."""
    (collection,) = platform.catalogue.chosen([context.partition_key])
    read = chain(*(given.items() for given in parts.values()))
    of = platform.collection_tables(dict(read, gene_names=gene_names))
    scores, unscored = library.score_collection(of, collection, advance=context.log.info)
    return partition_result(platform.lake, scores, **unscored)


@dg.multi_asset(outs=declared_outs(RESULTS), ins=inputs(*_SCORED), pool=MEMORY)
def benchmarks(context: Context, platform: PlatformResource, **tables: StoredTable) -> TableResults:
    """Every task on genes, and on the cells of every collection."""
    lake, of = platform.lake, platform.collection_tables(tables)
    properties, pairs = map(lake.read, (tables[name] for name in LABELS))
    labels = library.Labels(properties, pairs, platform.gene_groups)
    spaces = platform.entrants(of.gene_vectors, tables["gene_descriptions"])
    cells, unscored = library.score_collections(of, advance=context.log.info)
    record_partitions(context, lake, SCORES, cells)
    further = [
        *chain.from_iterable(cells.values()),
        *library.lineage_parts(of),
        *platform.costs(tables["gene_descriptions"]),
        *library.programs_of_spaces(lake, spaces, labels.properties),
    ]
    platform.release_memory()
    parts, remarks = library.run_tasks(
        lake, labels, spaces, further=further, slow_controls=platform.settings.full_models,
        processes=platform.settings.threads,
        advance=lambda task, share: context.log.info(f"{task} ({share:.0%} done)"),
    )  # fmt: skip
    reasons = {f"not scored/{label}": reason for label, reason in (remarks | unscored).items()}
    yield from table_results(lake, RESULTS, parts, **reasons)


@dg.multi_asset(outs=declared_outs(PROGRAMS), ins=inputs(*_READ), pool=MEMORY)
def programs_of_genes(platform: PlatformResource, **tables: StoredTable) -> TableResults:
    """Genes that lie together in each space, what they share, and where they are active."""
    lake, of = platform.lake, platform.collection_tables(tables)
    spaces = platform.entrants(of.gene_vectors)
    parts = library.programs_of_spaces(lake, spaces, lake.read(tables["gene_properties"]))
    parts += library.activity_of_programs(of, parts)
    yield from table_results(lake, PROGRAMS, parts)
