"""Group `text`: vectors of genes in every space, and what they cost."""

from collections.abc import Iterator
from itertools import chain
from typing import Final

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.declarations import EMBEDDING, declared, described
from assets.partitions import SPACES, record_partitions
from assets.pending import leave_pending
from assets.results import (
    Context,
    PartitionResult,
    PlatformResource,
    TableResult,
    TableResults,
    partition_result,
    table_result,
)
from assets.sources import source_key
from genept.datasources import NETWORKS
from genept.storage import Lake, StoredTable
from genept.text import embed_each, record_ledger

SPACE_VECTORS = dg.AssetKey("space_vectors")
_SOURCES: Final = [source_key(id_) for id_ in ("minilm", *chain(*NETWORKS.values()))]
_INPUTS: Final = [*_SOURCES, SPACE_VECTORS]


@dg.asset(
    key=SPACE_VECTORS,
    **described(
        "text",
        "The gene vectors of one space, as a part of table gene_embeddings. Materialise one to "
        "embed only that space; the part is stored, and gene_embeddings uses it.",
        "gene_embeddings",
    ),
    partitions_def=SPACES,
    pool=EMBEDDING,
    output_required=False,
    deps=_SOURCES,
)
def space_vectors(
    context: Context, platform: PlatformResource, gene_descriptions: StoredTable
) -> Iterator[PartitionResult]:
    """Embed one space; a text that was embedded before is not embedded again."""
    spaces = [platform.space(context.partition_key)]
    parts, pending = embed_each(spaces, lambda space: platform.embed(space, gene_descriptions))
    leave_pending(context, SPACE_VECTORS, "space", pending, is_partition=True)
    for (part,) in parts.values():
        lacking = platform.partly_embedded(spaces, parts, gene_descriptions)
        yield partition_result(platform.lake, [part], dimensions=part.dimension or 0, **lacking)


@dg.asset(**declared("gene_embeddings"), pool=EMBEDDING, output_required=False, deps=_INPUTS)
def gene_embeddings(
    context: Context, platform: PlatformResource, gene_descriptions: StoredTable
) -> TableResults:
    """One vector per gene and space; spaces without a stored part are embedded."""
    spaces = platform.spaces
    parts, pending = embed_each(spaces, lambda space: platform.embed(space, gene_descriptions))
    context.instance.add_dynamic_partitions(str(SPACES.name), list(parts))
    record_partitions(context, platform.lake, SPACE_VECTORS, parts)
    leave_pending(context, dg.AssetKey("gene_embeddings"), "space", pending)
    if not pending:
        stored = platform.lake.assemble("gene_embeddings", [*chain(*parts.values())])
        lacking = platform.partly_embedded(spaces, parts, gene_descriptions)
        yield table_result(stored, **platform.link_fates(), **lacking)


@dg.asset(**declared("embedding_ledger"), deps=["gene_embeddings"])
def embedding_ledger(platform: PlatformResource, lake: dg.ResourceParam[Lake]) -> TableResult:
    """Every payment to a hosted embedder, from the payments stored beside the vectors."""
    part = record_ledger(lake, platform.settings.product)
    return table_result(lake.assemble("embedding_ledger", [part]))
