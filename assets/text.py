"""Group `text`: descriptions of genes, and their vectors in every space."""

from collections.abc import Iterator
from dataclasses import asdict

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.results import (
    DATA_VERSION,
    EMBEDDING,
    declared,
    declared_outs,
    described,
    table_result,
)
from assets.sources import source_key
from genept.client import Platform
from genept.storage import Part, StoredTable, code_version
from genept.text import describe_genes, record_ledger

SPACES = dg.DynamicPartitionsDefinition(name="space")
"""One partition per space: a new recipe, embedder or registered table is a new one."""

SPACE_VECTORS = dg.AssetKey("space_vectors")


@dg.multi_asset(
    outs=declared_outs(["gene_descriptions", "undescribed_genes"]),
    deps=[source_key("pyiomica"), source_key("minilm")],
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
    deps=[source_key("minilm")],
    code_version=code_version("genept.text", "genept.schema.tables"),
)
def space_vectors(
    context: dg.AssetExecutionContext,
    platform: dg.ResourceParam[Platform],
    gene_descriptions: StoredTable,
) -> dg.MaterializeResult[None]:
    """Embed one space; a text that was embedded before is not embedded again."""
    part = platform.embed(platform.space(context.partition_key), gene_descriptions)
    return dg.MaterializeResult(data_version=dg.DataVersion(part.sha256), metadata=_facts(part))


@dg.asset(**declared("gene_embeddings"), pool=EMBEDDING, deps=[source_key("minilm"), SPACE_VECTORS])
def gene_embeddings(
    context: dg.AssetExecutionContext,
    platform: dg.ResourceParam[Platform],
    gene_descriptions: StoredTable,
) -> dg.MaterializeResult[StoredTable]:
    """One vector per gene and space; spaces without a stored part are embedded."""
    parts = []
    for space in platform.spaces:
        parts.append(platform.embed(space, gene_descriptions))
        _record(context, parts[-1])
    return table_result(platform.lake.assemble("gene_embeddings", parts))


def _record(context: dg.AssetExecutionContext, part: Part) -> None:
    """Record a part as a materialisation of its partition, unless this content is recorded."""
    (space,) = part.partition
    context.instance.add_dynamic_partitions(str(SPACES.name), [space])
    known = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(SPACE_VECTORS, asset_partitions=[space]), limit=1
    )
    last = known.records[0].asset_materialization if known.records else None
    if last is not None and (last.tags or {}).get(DATA_VERSION) == part.sha256:
        return
    context.log_event(
        dg.AssetMaterialization(
            SPACE_VECTORS, partition=space, metadata=_facts(part), tags={DATA_VERSION: part.sha256}
        )
    )


def _facts(part: Part) -> dict[str, dg.MetadataValue | int | str]:
    return {
        "dagster/row_count": part.rows,
        "bytes": part.bytes,
        "dimensions": part.dimension or 0,
        "object": part.key,
        "sha256": part.sha256,
    }


@dg.asset(**declared("embedding_ledger"), deps=["gene_embeddings"])
def embedding_ledger(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult[StoredTable]:
    """Every payment to a hosted embedder, from the payments stored beside the vectors."""
    part = record_ledger(platform.lake, platform.settings.product)
    return table_result(platform.lake.assemble("embedding_ledger", [part]))


def _forecasts(platform: Platform, descriptions: StoredTable) -> dict[str, dg.MetadataValue]:
    """Forecast cost of the hosted spaces."""
    rows = [
        dg.TableRecord({"space": space, **asdict(forecast)})
        for space, forecast in platform.forecasts(descriptions).items()
    ]
    return {"cost forecast": dg.MetadataValue.table(rows)} if rows else {}
