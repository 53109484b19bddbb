"""Everything Dagster knows of: assets, checks, the job `release`, and their resources."""

from __future__ import annotations

import dagster as dg

from assets import benchmarks, collections, embeddings, models, nomenclature, release, sources, text
from genept.platform import Platform
from genept.settings import Settings
from orchestration.checks import relation_checks, table_checks
from orchestration.embedding_flow import prefect_runner
from orchestration.inbox import inbox_job, inbox_sensor
from orchestration.io_manager import LakeIOManager
from orchestration.progress import run_lines

release_job = dg.define_asset_job(
    "release",
    # The partitioned layer is for one space by hand; `gene_embeddings` runs the same steps.
    # The inbox is the sensor's; what it took in, every run holds.
    selection=dg.AssetSelection.all()
    - dg.AssetSelection.assets(text.SPACE_VECTORS, collections.inbox_collection),
    description="Public data to a published release. What is already built is not built again.",
    executor_def=dg.in_process_executor,
    config={"loggers": {"console": {"config": {}}}},
)


def build_defs(settings: Settings | None = None) -> dg.Definitions:
    """The definitions of one installation; tests give settings of their own."""
    settings = settings or Settings()
    platform = Platform(settings, runner=prefect_runner(settings.state / "prefect"))
    modules = [sources, nomenclature, collections, text, embeddings, benchmarks, models, release]
    return dg.Definitions(
        assets=dg.load_assets_from_modules(modules),
        asset_checks=[*table_checks, *relation_checks],
        jobs=[release_job, inbox_job],
        sensors=[inbox_sensor],
        resources={"platform": platform, "io_manager": LakeIOManager(platform)},
        loggers={"console": run_lines},
        executor=dg.in_process_executor,
    )


defs = build_defs()
