"""Group `models`: drugs that no screen measured, predicted by what is known of them."""

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.declarations import EVALUATION_INPUTS, MEMORY, declared_outs, inputs
from assets.results import Context, PlatformResource, TableResults, table_results
from genept.models.unscreened_drugs import REPORTED, UNSCREENED, build_unscreened
from genept.storage import StoredTable

_READ = (
    *(*EVALUATION_INPUTS, "gene_descriptions"),
    *("drug_responses", "drugs", "drug_targets"),
)


@dg.multi_asset(outs=declared_outs(UNSCREENED), ins=inputs(*_READ), pool=MEMORY)
def unscreened_drugs(
    context: Context, platform: PlatformResource, **tables: StoredTable
) -> TableResults:
    """Profiles of drugs that a screen did not measure, and what such predictions are worth."""
    of = platform.collection_tables(tables)
    wanted, texts = REPORTED if tables["drug_responses"].parts else (), tables["gene_descriptions"]
    vectors = platform.available_vectors(wanted, texts, context.log.warning)
    parts, findings = build_unscreened(of, tables["drugs"], tables["drug_targets"], vectors)
    remarks = {f"gate/{screen}": finding for screen, finding in findings.items()}
    yield from table_results(platform.lake, UNSCREENED, parts, **remarks)
