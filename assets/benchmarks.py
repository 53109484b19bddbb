"""Group `benchmarks`: every representation on every task, beside its controls."""

from __future__ import annotations

import dagster as dg

from assets.results import declared, table_result
from assets.views import READ, parts_of
from genept.benchmarks.cell_task import annotate_cell_types
from genept.benchmarks.eligibility import too_few_cells
from genept.platform import Platform
from genept.store.lake import StoredTable


@dg.asset(
    **declared("benchmark_results"), ins={name: dg.AssetIn() for name in (*READ, "cell_embeddings")}
)
def benchmark_results(
    platform: dg.ResourceParam[Platform], **tables: StoredTable
) -> dg.MaterializeResult[StoredTable]:
    """Cell-type annotation on every single-cell collection."""
    parts, without = [], {}
    for collection in platform.collections:
        if collection.kind != "single_cell":
            continue
        read = parts_of(platform, collection, tables)
        if why := too_few_cells(platform.lake, read.observations, read.axis):
            without[f"without/{collection.id}"] = why
            continue
        task = (platform.lake, collection.id, collection.unit)
        parts.append(annotate_cell_types(*task, read))
    return table_result(platform.lake.assemble("benchmark_results", parts), **without)
