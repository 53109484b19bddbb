"""Lanes of group `embeddings`: steps among which a cluster divides the shards of expression.

They store their parts in the lake, where the tables' assets find them. On one machine there are
none.
"""

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.declarations import described, inputs
from assets.results import PlatformResource
from genept.embeddings import embed_shards
from genept.storage import StoredTable, sha256_of

POOLING_INPUTS = ("gene_embeddings", "gene_axis", "expression")


def embedding_lanes(n: int) -> list[dg.AssetsDefinition]:
    """Steps that share the shards of all collections and spaces; none on one machine."""
    return [_lane(number, n) for number in range(n)]


def _lane(number: int, n: int) -> dg.AssetsDefinition:
    about = f"Every {n}th shard of expression in every space, from number {number} on."

    @dg.asset(
        key=["embedding_lane", f"{number:03d}"],
        **described("embeddings", about, "cell_embeddings"),
        ins=inputs(*POOLING_INPUTS),
    )
    def lane(platform: PlatformResource, **tables: StoredTable) -> dg.MaterializeResult[None]:
        shards = platform.collection_tables(tables).shards()[number::n]
        parts = embed_shards(platform.lake, shards, platform.settings.threads)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(sha256_of([part.sha256 for part in parts])),
            metadata={"shards": len(parts), "dagster/row_count": sum(part.rows for part in parts)},
        )

    return lane
