"""Group `benchmarks`: labels of genes, and every representation on every task, beside controls."""

from collections.abc import Iterator

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.pools import MEMORY
from assets.results import declared_outs, table_result
from assets.views import READ, parts_of
from genept.benchmarks.cell_task import annotate_cell_types
from genept.benchmarks.eligibility import too_few_cells
from genept.benchmarks.labels import fates
from genept.benchmarks.leaderboard import run_tasks
from genept.benchmarks.tasks import Labels
from genept.platform import Platform
from genept.store.lake import Part, StoredTable

LABELS = ("gene_properties", "gene_pairs")
RESULTS = ("benchmark_results", "benchmark_comparisons")


@dg.multi_asset(outs=declared_outs(LABELS))
def gene_labels(
    platform: dg.ResourceParam[Platform], genes: StoredTable
) -> Iterator[dg.MaterializeResult[StoredTable]]:
    """Labels of genes and of pairs, from the sources that are at hand."""
    parts = platform.label_parts(genes.part())
    for name in LABELS:
        stored = platform.lake.assemble(name, parts)
        yield table_result(stored, **fates(platform.lake.read(stored)))


@dg.multi_asset(
    outs=declared_outs(RESULTS),
    ins={
        name: dg.AssetIn()
        for name in (*READ, "cell_embeddings", "gene_embeddings", "gene_properties", "gene_pairs")
    },
    pool=MEMORY,
)
def benchmarks(
    context: dg.AssetExecutionContext,
    platform: dg.ResourceParam[Platform],
    **tables: StoredTable,
) -> Iterator[dg.MaterializeResult[StoredTable]]:
    """Every task on genes, and cell types on every single-cell collection."""
    labels = Labels(*(platform.lake.read(tables[name]) for name in LABELS))
    spaces = [
        platform.entrant(space, tables["gene_embeddings"].part(space.id))
        for space in platform.spaces
    ]
    parts, remarks = run_tasks(platform.lake, labels, spaces, advance=context.log.info)
    cells, without = _cell_tasks(platform, tables)
    for name in RESULTS:
        said = {f"not scored/{what}": why for what, why in (remarks | without).items()}
        yield table_result(platform.lake.assemble(name, [*parts, *cells]), **said)


def _cell_tasks(
    platform: Platform, tables: dict[str, StoredTable]
) -> tuple[list[Part], dict[str, str]]:
    """Scores of every single-cell collection that has enough cells; and why others have not."""
    parts, without = [], {}
    for collection in platform.collections:
        if collection.kind != "single_cell":
            continue
        read = parts_of(platform, collection, tables)
        if why := too_few_cells(platform.lake, read.observations, read.axis):
            without[collection.id] = why
            continue
        task = (platform.lake, collection.id, collection.unit)
        parts.append(annotate_cell_types(*task, read))
    return parts, without
