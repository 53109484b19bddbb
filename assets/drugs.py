"""Group `collections`: drugs of the screens and of the lists, and the genes that they act on."""

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.declarations import declared_outs
from assets.results import PlatformResource, TableResults, table_results
from genept.models.drug_response import DRUGS
from genept.storage import StoredTable


@dg.multi_asset(outs=declared_outs(DRUGS))
def drugs(
    platform: PlatformResource, genes: StoredTable, drug_responses: StoredTable
) -> TableResults:
    """Drugs and their targets; the publisher's list is read where it is available."""
    parts = platform.drug_parts(genes.part(), drug_responses)
    yield from table_results(platform.lake, DRUGS, parts)
