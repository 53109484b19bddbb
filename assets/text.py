"""Group `text`: descriptions of genes. Their vectors are in `assets.text_spaces`."""

from dataclasses import asdict
from itertools import chain

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.declarations import EMBEDDING, declared, declared_outs
from assets.news import NEWS
from assets.pending import leave_pending
from assets.results import (
    Context,
    PlatformResource,
    TableResult,
    TableResults,
    table_result,
    table_results,
)
from assets.sources import source_key
from genept.client import (
    Platform,
    edit_parts,
    probe_parts,
    statement_parts,
    write_of_all_genes,
)
from genept.storage import StoredTable
from genept.text import FILES_OF_PARTS

_KNOWLEDGE = dict.fromkeys(("pyiomica", "minilm", *chain.from_iterable(FILES_OF_PARTS.values())))
"""What texts are made of, and the tokenizer of their budgets."""

_SOURCES = [source_key(source) for source in _KNOWLEDGE]


@dg.multi_asset(
    outs=declared_outs(["gene_descriptions", "undescribed_genes"]),
    deps=[*_SOURCES, "written_statements"],
)
def descriptions(platform: PlatformResource, genes: StoredTable) -> TableResults:
    """One text per gene and recipe, and the genes that have none."""
    parts = platform.describe(genes.part(), platform.followed_recipes)
    unavailable = {
        f"unavailable/{recipe.id}": reason
        for recipe in platform.recipes.values()
        if (reason := platform.knowledge.unavailable(recipe))
    }
    stored = platform.lake.assemble("gene_descriptions", parts)
    yield table_result(stored, **unavailable, **_forecasts(platform, stored))
    yield table_result(platform.lake.assemble("undescribed_genes", parts))


@dg.asset(**declared("written_statements"), pool=EMBEDDING, output_required=False, deps=_SOURCES)
def written_statements(
    context: Context, platform: PlatformResource, genes: StoredTable
) -> TableResults:
    """What language models write and wrote of genes, of those that pass the probes."""
    pending = write_of_all_genes(platform, platform.lake.read(genes), context.log.info)
    leave_pending(context, dg.AssetKey("written_statements"), "writer", pending)
    if not pending:
        parts = statement_parts(platform, context.log.warning)
        yield table_result(platform.lake.assemble("written_statements", parts))


@dg.asset(**declared("language_model_probes"), deps=[NEWS])
def language_model_probes(platform: PlatformResource) -> TableResult:
    """How every language model in use did in the probes."""
    return table_result(platform.lake.assemble("language_model_probes", probe_parts(platform)))


@dg.multi_asset(outs=declared_outs(["description_edits", "edit_forgetting"]), deps=[NEWS])
def description_edits(platform: PlatformResource) -> TableResults:
    """Edits of descriptions that were tried, and what was forgotten by those that were kept."""
    yield from table_results(
        platform.lake, ["description_edits", "edit_forgetting"], edit_parts(platform)
    )


def _forecasts(platform: Platform, descriptions: StoredTable) -> dict[str, dg.MetadataValue]:
    """Forecast cost of the hosted spaces."""
    rows = [
        dg.TableRecord({"space": space, **asdict(forecast)})
        for space, forecast in platform.forecasts(descriptions).items()
    ]
    return {"cost forecast": dg.MetadataValue.table(rows)} if rows else {}
