"""Group `perturbations`: what knocking a gene down does to others."""

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.declarations import declared_outs
from assets.results import Context, PlatformResource, TableResults, table_results
from genept import perturbations as library
from genept.storage import StoredTable

SCREENS = ("perturbation_screens", "perturbation_effects")


@dg.multi_asset(outs=declared_outs(SCREENS))
def perturbation_screens(
    context: Context, platform: PlatformResource, genes: StoredTable
) -> TableResults:
    """Screens of perturbations, from the sources that are available."""
    remark = library.how_to_get(platform.archives) or "every screen is available"
    context.log.info(f"perturbations: {remark}")
    parts = platform.screen_parts(genes.part())
    yield from table_results(platform.lake, SCREENS, parts, sources=remark)
