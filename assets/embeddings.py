"""Group `embeddings`: cells and bulk samples in every space (GenePT-w)."""

from __future__ import annotations

import dagster as dg

from assets.results import declared, table_result
from genept.embeddings.pooling import TABLE_OF_KIND, embed_collection
from genept.platform import Platform
from genept.store.lake import StoredTable


def _embeddings_asset(kind: str, table: str) -> dg.AssetsDefinition:
    @dg.asset(**declared(table))
    def embeddings(
        platform: dg.ResourceParam[Platform],
        gene_embeddings: StoredTable,
        gene_axis: StoredTable,
        expression: StoredTable,
    ) -> dg.MaterializeResult[StoredTable]:
        parts = [
            embed_collection(
                platform.lake,
                kind=kind,
                unit=collection.unit,
                gene_embeddings=gene_embeddings.part(space.id),
                axis=gene_axis.part(collection.id),
                expression=shard,
                threads=platform.settings.threads,
            )
            for collection in platform.collections
            if collection.kind == kind
            for space in platform.spaces
            for shard in expression.matching(collection.id)
        ]
        return table_result(platform.lake.assemble(table, parts))

    return embeddings


cell_and_sample_embeddings = [_embeddings_asset(*pair) for pair in TABLE_OF_KIND.items()]
