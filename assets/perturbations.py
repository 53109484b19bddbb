"""Group `perturbations`: what knocking a gene down does to others, measured and predicted."""

import dagster as dg  # reads annotations at run time: no `from __future__ import annotations`

from assets.declarations import MEMORY, declared_outs, inputs
from assets.results import Context, PlatformResource, TableResults, table_results
from genept import perturbations as library
from genept.common import console
from genept.datasources import gene_group_file
from genept.storage import StoredTable

SCREENS = ("perturbation_screens", "perturbation_effects")
PREDICTED = ("perturbation_scores", "perturbation_predictions")


@dg.multi_asset(outs=declared_outs(SCREENS))
def perturbation_screens(
    context: Context, platform: PlatformResource, genes: StoredTable
) -> TableResults:
    """Screens of perturbations, from the sources that are available."""
    remark = library.how_to_get(platform.archives) or "every screen is available"
    context.log.info(f"perturbations: {remark}")
    parts = platform.screen_parts(genes.part(), context.log.warning)
    if not parts:
        console.print(f"no screen of perturbations: {remark}", markup=False)
    yield from table_results(platform.lake, SCREENS, parts, sources=remark)


@dg.multi_asset(
    outs=declared_outs(PREDICTED),
    ins=inputs("perturbation_effects", "gene_descriptions"),
    pool=MEMORY,
)
def predicted_perturbations(
    context: Context,
    platform: PlatformResource,
    perturbation_effects: StoredTable,
    gene_descriptions: StoredTable,
) -> TableResults:
    """The predictor beside its controls, and its predictions for genes that were not perturbed."""
    lake, effects = platform.lake, perturbation_effects
    wanted = library.SPACES if effects.parts else ()
    vectors = platform.available_vectors(wanted, gene_descriptions, context.log.warning)
    described = platform.described(gene_descriptions)
    groups = gene_group_file(platform.archives)
    parts = library.build_scores(lake, effects, vectors, described, groups)
    parts += library.build_predictions(lake, effects, vectors, described)
    yield from table_results(
        lake,
        PREDICTED,
        parts,
        spaces=", ".join(vectors) or "none",
        families=f"stems of symbols and groups of {groups.release}"
        if groups
        else "stems of symbols",
    )
