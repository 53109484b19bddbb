"""Group `text`: descriptions of genes, and their vectors in every space."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import chain
from typing import Final

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.partitions import SPACES, PartitionTables, partition_result, record_partitions
from assets.results import (
    EMBEDDING,
    declared,
    declared_outs,
    described,
    table_result,
)
from assets.sources import source_key
from genept.client import Platform
from genept.storage import Lake, StoredTable
from genept.text import FILES_OF_PARTS, PendingBatchesError, describe_genes, record_ledger

SPACE_VECTORS = dg.AssetKey("space_vectors")

PENDING: Final = "waits for batches of space"
"""Metadata of the observation of an asset whose texts are in batches under way."""

_KNOWLEDGE = dict.fromkeys(("pyiomica", "minilm", *chain.from_iterable(FILES_OF_PARTS.values())))
"""What texts are made of, and the tokenizer of their budgets."""


@dg.multi_asset(
    outs=declared_outs(["gene_descriptions", "undescribed_genes"]),
    deps=[source_key(source) for source in _KNOWLEDGE],
)
def descriptions(
    platform: dg.ResourceParam[Platform], genes: StoredTable
) -> Iterator[dg.MaterializeResult[StoredTable]]:
    """One text per gene and recipe, and the genes that have none."""
    parts = [
        part
        for recipe in platform.followed_recipes
        for part in describe_genes(
            platform.lake,
            platform.knowledge,
            genes.part(),
            recipe,
            lambda: platform.minilm.count_tokens,
            max_genes=platform.settings.max_genes,
        )
    ]
    unavailable = {
        f"unavailable/{recipe.id}": reason
        for recipe in platform.recipes.values()
        if (reason := platform.knowledge.unavailable(recipe))
    }
    stored = platform.lake.assemble("gene_descriptions", parts)
    yield table_result(stored, **unavailable, **_forecasts(platform, stored))
    yield table_result(platform.lake.assemble("undescribed_genes", parts))


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
    deps=[source_key("minilm")],
)
def space_vectors(
    context: dg.AssetExecutionContext,
    platform: dg.ResourceParam[Platform],
    gene_descriptions: StoredTable,
) -> Iterator[dg.MaterializeResult[PartitionTables]]:
    """Embed one space; a text that was embedded before is not embedded again."""
    try:
        part = platform.embed(platform.space(context.partition_key), gene_descriptions)
    except PendingBatchesError as pending:
        _leave_pending(context, SPACE_VECTORS, {context.partition_key: pending})
        return
    yield partition_result(platform.lake, [part], dimensions=part.dimension or 0)


@dg.asset(
    **declared("gene_embeddings"),
    pool=EMBEDDING,
    output_required=False,
    deps=[source_key("minilm"), SPACE_VECTORS],
)
def gene_embeddings(
    context: dg.AssetExecutionContext,
    platform: dg.ResourceParam[Platform],
    gene_descriptions: StoredTable,
) -> Iterator[dg.MaterializeResult[StoredTable]]:
    """One vector per gene and space; spaces without a stored part are embedded."""
    parts, pending = {}, {}
    for space in platform.spaces:
        try:
            parts[space.id] = [platform.embed(space, gene_descriptions)]
        except PendingBatchesError as error:  # the other spaces need not wait for it
            pending[space.id] = error
    context.instance.add_dynamic_partitions(str(SPACES.name), list(parts))
    record_partitions(context, platform.lake, SPACE_VECTORS, parts)
    if pending:
        _leave_pending(context, dg.AssetKey("gene_embeddings"), pending)
        return
    yield table_result(
        platform.lake.assemble("gene_embeddings", [part for (part,) in parts.values()])
    )


def _leave_pending(
    context: dg.AssetExecutionContext,
    key: dg.AssetKey,
    pending: Mapping[str, PendingBatchesError],
) -> None:
    """Say in the event log that an asset waits for batches: the run ends, and a later one goes on.

    The steps below it are skipped, since it has no output.
    """
    for space, error in pending.items():
        context.log_event(
            dg.AssetObservation(
                key,
                partition=space if key == SPACE_VECTORS else None,
                description=f"space {space} is pending: {error}",
                metadata={
                    PENDING: space,
                    "texts under way": error.n_texts,
                    "until": dg.MetadataValue.timestamp(error.until),
                },
            )
        )


@dg.asset(**declared("embedding_ledger"), deps=["gene_embeddings"])
def embedding_ledger(
    platform: dg.ResourceParam[Platform], lake: dg.ResourceParam[Lake]
) -> dg.MaterializeResult[StoredTable]:
    """Every payment to a hosted embedder, from the payments stored beside the vectors."""
    part = record_ledger(lake, platform.settings.product)
    return table_result(lake.assemble("embedding_ledger", [part]))


def _forecasts(platform: Platform, descriptions: StoredTable) -> dict[str, dg.MetadataValue]:
    """Forecast cost of the hosted spaces."""
    rows = [
        dg.TableRecord({"space": space, **asdict(forecast)})
        for space, forecast in platform.forecasts(descriptions).items()
    ]
    return {"cost forecast": dg.MetadataValue.table(rows)} if rows else {}
