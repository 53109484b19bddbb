"""Group `text`: what is known about each gene, and where that places it in every space."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

import dagster as dg

from assets.results import declared, table_result
from assets.sources import source_key
from genept.platform import Platform
from genept.store.lake import StoredTable
from genept.text.descriptions import describe_genes
from genept.text.gene_vectors import embed_genes
from genept.text.receipts import record_ledger
from genept.text.recipes import load_recipes


@dg.asset(**declared("gene_descriptions"), deps=[source_key("pyiomica"), source_key("minilm")])
def gene_descriptions(
    platform: dg.ResourceParam[Platform], genes: StoredTable
) -> dg.MaterializeResult[StoredTable]:
    """One text per gene and recipe."""
    parts = [
        describe_genes(
            platform.lake,
            platform.archives,
            genes.part(),
            recipe,
            lambda: platform.minilm.count_tokens,
            max_genes=platform.settings.max_genes,
        )
        for recipe in load_recipes().values()
    ]
    stored = platform.lake.assemble("gene_descriptions", parts)
    return table_result(stored, **_forecasts(platform, stored))


@dg.asset(**declared("gene_embeddings"), deps=[source_key("minilm")])
def gene_embeddings(
    platform: dg.ResourceParam[Platform], gene_descriptions: StoredTable
) -> dg.MaterializeResult[StoredTable]:
    """One vector per gene and space; a text that was embedded before is not embedded again."""
    parts = [
        embed_genes(
            platform.lake,
            space,
            gene_descriptions.part(space.recipe),
            partial(platform.embedder, space.embedder),
            product=platform.settings.product,
            runner=platform.runner,
            purse=platform.hosted.purse,
        )
        for space in platform.spaces
    ]
    return table_result(platform.lake.assemble("gene_embeddings", parts))


@dg.asset(**declared("embedding_ledger"), deps=["gene_embeddings"])
def embedding_ledger(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult[StoredTable]:
    """Every payment to a hosted embedder, from the receipts that lie beside the vectors."""
    part = record_ledger(platform.lake, platform.settings.product)
    return table_result(platform.lake.assemble("embedding_ledger", [part]))


def _forecasts(platform: Platform, descriptions: StoredTable) -> dict[str, dg.MetadataValue]:
    """What the hosted spaces will cost, shown before they are materialised."""
    rows = [
        dg.TableRecord({"space": space, **asdict(one)})
        for space, one in platform.forecasts(descriptions).items()
    ]
    return {"cost forecast": dg.MetadataValue.table(rows)} if rows else {}
