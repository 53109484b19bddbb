"""Everything Dagster knows of: assets, checks, jobs, what starts them, and their resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets import (
    benchmarks,
    collections,
    drugs,
    embedding_lanes,
    embedding_tables,
    further_embeddings,
    games,
    inbox_files,
    models,
    news,
    nomenclature,
    observation_descriptions,
    observation_vectors,
    operations,
    perturbations,
    predictions,
    release,
    sources,
    text,
    text_spaces,
    unscreened_drugs,
)
from genept.client import Platform
from genept.common import Settings
from genept.text import plain_loop
from orchestration.asset_checks import partition_checks, relation_checks, table_checks
from orchestration.automation import automation, with_policy
from orchestration.executors import executor_of, lanes_of
from orchestration.failures import failures, run_lines
from orchestration.io_manager import LakeIOManager
from orchestration.remote_embedding import PrefectFlows
from orchestration.resources import OpenPlatform, platform_resource, resources_of
from orchestration.run_metrics import METER, run_records
from orchestration.schedules import (
    batches_sensor,
    games_job,
    inbox_job,
    inbox_sensor,
    new_data_sensor,
    nightly_job_of,
    release_job_of,
    retraining_job_of,
    schedules_of,
)

_MODULES = [
    *(sources, news, nomenclature, collections, inbox_files, text, text_spaces),
    *(benchmarks, perturbations, drugs, models, unscreened_drugs),
    *(observation_descriptions, predictions, release, games, operations),
]


def build_defs(
    settings: Settings | None = None, open_platform: OpenPlatform | None = None
) -> dg.Definitions:
    """The definitions of one installation; tests give settings of their own.

    Parameters
    ----------
    open_platform
        Opens the installation with the options of a run, once per run, so that nothing cached
        outlives a run.
    """
    settings = settings or Settings()
    runner, remote = METER.metered(plain_loop), PrefectFlows(settings)

    def open_installation(options: Mapping[str, Any]) -> Platform:
        return Platform(settings.with_options(options), runner=runner, remote=remote)

    lanes = embedding_lanes(lanes_of(settings))
    executor = executor_of(settings)
    loaded = [
        *dg.load_assets_from_modules(_MODULES),
        *lanes,
        *embedding_tables(lanes),
        further_embeddings,
        observation_vectors,
    ]
    release = release_job_of(executor)
    nightly, retraining = nightly_job_of(executor), retraining_job_of(executor)
    return dg.Definitions(
        assets=[
            with_policy(asset) if isinstance(asset, dg.AssetsDefinition) else asset
            for asset in loaded
        ],
        asset_checks=[*table_checks, *relation_checks, *partition_checks],
        jobs=[release, nightly, retraining, inbox_job, games_job],
        schedules=schedules_of(settings, nightly, retraining),
        sensors=[
            *(inbox_sensor, new_data_sensor(retraining), failures, automation),
            batches_sensor(release, nightly, retraining),
        ],
        resources={
            **resources_of(platform_resource(open_platform or open_installation)),
            "io_manager": dg.IOManagerDefinition(
                lambda context: LakeIOManager(context.resources.platform),
                required_resource_keys={"platform"},
            ),
        },
        loggers={"console": run_lines, "records": run_records(settings.state)},
        executor=executor,
    )


defs = build_defs()


def release_job() -> dg.JobDefinition:
    """The job `release` by name, so that a worker of a cluster finds it in this module."""
    return defs.resolve_job_def("release")
