"""Everything Dagster knows of: assets, checks, the job `release`, and their resources."""

from __future__ import annotations

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,
)

from assets import benchmarks, collections, models, nomenclature, release, sources, text
from assets.embeddings import embedding_lanes, embedding_tables, further_embeddings
from genept.platform import Platform
from genept.settings import Settings
from orchestration.checks import relation_checks, table_checks
from orchestration.embedding_flow import prefect_runner
from orchestration.executors import executor_of, lanes_of
from orchestration.inbox import inbox_job, inbox_sensor
from orchestration.io_manager import LakeIOManager
from orchestration.progress import run_lines


def build_defs(settings: Settings | None = None) -> dg.Definitions:
    """The definitions of one installation; tests give settings of their own."""
    settings = settings or Settings()
    platform = Platform(settings, runner=prefect_runner(settings.state / "prefect"))
    modules = [sources, nomenclature, collections, text, benchmarks, models, release]
    lanes = embedding_lanes(lanes_of(settings))
    embeddings = [*lanes, *embedding_tables(lanes), further_embeddings]
    executor = executor_of(settings)
    return dg.Definitions(
        assets=[*dg.load_assets_from_modules(modules), *embeddings],
        asset_checks=[*table_checks, *relation_checks],
        jobs=[_release(executor), inbox_job],
        sensors=[inbox_sensor],
        resources={"platform": platform, "io_manager": LakeIOManager(platform)},
        loggers={"console": run_lines},
        executor=executor,
    )


def _release(executor: dg.ExecutorDefinition) -> UnresolvedAssetJobDefinition:
    return dg.define_asset_job(
        "release",
        # The partitioned layer is for one space by hand; `gene_embeddings` runs the same steps.
        # The inbox is the sensor's; what it took in, every run holds.
        selection=dg.AssetSelection.all()
        - dg.AssetSelection.assets(text.SPACE_VECTORS, collections.inbox_collection),
        description="Public data to a published release. What is already built is not built again.",
        executor_def=executor,
        config={"loggers": {"console": {"config": {}}}},
    )


defs = build_defs()


def release_job() -> dg.JobDefinition:
    """The job `release` by name, so that a worker of a cluster finds it in this module."""
    return defs.resolve_job_def("release")
