"""What starts runs: the nightly and weekly schedules, the sensors of the inbox and of batches."""

from __future__ import annotations

from typing import Any

import dagster as dg

from assets import (
    COLLECTIONS,
    DROP,
    METRICS,
    NEWS,
    PENDING,
    RELEASE,
    SPACES,
    collection_descriptions,
    collection_scores,
    donor_games,
    inbox_collection,
    ingested_collection,
    observation_vectors,
    space_vectors,
    trained_model,
    trained_models,
)
from genept.client import Platform, batches_under_way
from genept.collections import drops
from genept.common import Settings
from genept.storage import sha256_of
from orchestration.resources import LOGGERS, run_config

ZONE = "UTC"
"""Time zone of the weekly schedule; that of the nightly one is its partitions'. Publishers are in
all time zones, and UTC has no daylight saving."""


AssetJob = Any
"""What `dg.define_asset_job` returns; Dagster exports no name for it."""

NIGHTLY_HOUR, NIGHTLY_MINUTE = 3, 15

WEEKLY = "30 5 * * 1"

TRAINING_INPUTS = ("sample_embeddings", "expression", "gene_axis", "observations", "drug_responses")
"""Tables on which models are trained."""


BY_HAND = dg.AssetSelection.assets(
    *(ingested_collection, space_vectors, observation_vectors, collection_scores, trained_model),
    *(collection_descriptions, inbox_collection, donor_games),
)
"""Assets that only a person or a sensor starts. Those of one collection, space or model are run
one partition at a time, and the tables run the same steps; the sensor `inbox` starts
`inbox_collection`, and every run includes the collections that it ingested. Games are of no
release."""


def release_job_of(executor: dg.ExecutorDefinition) -> AssetJob:
    """The job that builds and publishes everything, whether or not an input changed."""
    return dg.define_asset_job(
        "release",
        selection=dg.AssetSelection.all() - BY_HAND - dg.AssetSelection.assets(NEWS),
        description="Public data to a published release. What is already built is not built again.",
        tags={"genept/cadence": "by hand"},
        executor_def=executor,
        config=run_config,
    )


def nightly_job_of(executor: dg.ExecutorDefinition) -> AssetJob:
    """The job of `news` and everything downstream but the models, which are trained weekly.

    The pinned archives are not part of it: they cannot change, and a step that needs one fetches
    it.
    """
    return dg.define_asset_job(
        "nightly",
        selection=dg.AssetSelection.all()
        - BY_HAND
        - (dg.AssetSelection.groups("sources") - dg.AssetSelection.assets(NEWS))
        - dg.AssetSelection.groups("models")
        - dg.AssetSelection.checks_for_assets(trained_models),
        description="Probe the sources; if one has changed, build what depends on it and "
        "publish. If none has changed, every step below `news` is skipped and nothing is written.",
        tags={"genept/cadence": "nightly"},
        executor_def=executor,
        config=LOGGERS,  # a job with partitions takes no mapping: options are under resources
    )


def retraining_job_of(executor: dg.ExecutorDefinition) -> AssetJob:
    """The job that trains the models on the current tables, and publishes a release of them."""
    return dg.define_asset_job(
        "retraining",
        selection=(dg.AssetSelection.groups("models") - BY_HAND)
        | dg.AssetSelection.assets(RELEASE, METRICS),
        description="Train challengers on the tables as they are, ask the promotion gate, publish.",
        tags={"genept/cadence": "weekly"},
        executor_def=executor,
        config=run_config,
    )


def schedules_of(
    settings: Settings,
    nightly: AssetJob,
    retraining: AssetJob,
) -> list[Any]:
    """The nightly and the weekly schedule.

    Off unless the setting `unattended` is true, so that opening the UI on a laptop starts no
    downloads and no hours of computing. The UI switches them either way.
    """
    status = dg.DefaultScheduleStatus
    default = status.RUNNING if settings.unattended else status.STOPPED
    return [
        dg.build_schedule_from_partitioned_job(
            nightly,
            name="nightly",
            hour_of_day=NIGHTLY_HOUR,
            minute_of_hour=NIGHTLY_MINUTE,
            default_status=default,
            description="Daily at 03:15 UTC, for the day that ended: after the publishers' own "
            "nightly builds. Missed days are run later.",
        ),
        dg.ScheduleDefinition(
            name="retraining",
            job=retraining,
            cron_schedule=WEEKLY,
            execution_timezone=ZONE,
            default_status=default,
            description="Mondays at 05:30 UTC, after the nightly run of 03:15. Weekly, because "
            "each attempt at the promotion gate uses up some of the holdout's information.",
        ),
    ]


def new_data_sensor(retraining: AssetJob) -> dg.SensorDefinition:
    """A sensor that requests retraining when a table in `TRAINING_INPUTS` changed."""

    @dg.sensor(
        name="new_training_data",
        job=retraining,
        minimum_interval_seconds=300,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Off by default, because the weekly schedule does the same more sparingly; on, "
        "models follow new data within minutes.",
    )
    def new_training_data(
        context: dg.SensorEvaluationContext,
    ) -> dg.SensorResult | dg.SkipReason:
        versions = {}
        for name in TRAINING_INPUTS:
            event = context.instance.get_latest_materialization_event(dg.AssetKey(name))
            materialization = event.asset_materialization if event else None
            if materialization is None:
                return dg.SkipReason(f"{name} was never materialised: run the job `release` first")
            versions[name] = (materialization.tags or {}).get("dagster/data_version", "unknown")
        version = sha256_of(versions)
        if context.cursor is None:
            return dg.SensorResult(skip_reason="data versions noted", cursor=version)
        if context.cursor == version:
            return dg.SkipReason("models have seen these data versions")
        request = dg.RunRequest(run_key=version, tags={"genept/because": "new training data"})
        return dg.SensorResult(run_requests=[request], cursor=version)

    return new_training_data


inbox_job = dg.define_asset_job(
    "inbox",
    selection=dg.AssetSelection.assets(inbox_collection),
    description="Ingests one file of the inbox, or moves it to quarantine with a report.",
    executor_def=dg.in_process_executor,
)


games_job = dg.define_asset_job(
    "donor_games",
    selection=dg.AssetSelection.assets(donor_games),
    description="Plays the Donor Game for some minutes, scripted agents beside it, and goes on "
    "where the last run of the same rules ended.",
    executor_def=dg.in_process_executor,
)


@dg.sensor(
    job=inbox_job,
    name="inbox",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="A file with its sidecar under {product}/inbox/ becomes a partition and a run.",
)
def inbox_sensor(
    context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
) -> dg.SensorResult:
    """Request a run for every complete drop, once for each version of a drop.

    It also adds partitions for the collections and spaces that came since it last looked.
    """
    drops_to_ingest, incomplete = drops(platform.store, platform.settings.product)
    remark = f"; these wait for their other half: {', '.join(incomplete[:8])}" if incomplete else ""
    skip = None if drops_to_ingest else f"no complete drop in the inbox{remark}"
    known = {
        COLLECTIONS: {*platform.catalogue.collections, *(drop.id for drop in drops_to_ingest)},
        SPACES: {space.id for space in platform.known_spaces},
    }
    missing = {
        partitions: sorted(ids - set(context.instance.get_dynamic_partitions(str(partitions.name))))
        for partitions, ids in known.items()
    }
    return dg.SensorResult(
        skip_reason=skip,
        run_requests=[
            dg.RunRequest(
                run_key=f"{drop.name}@{drop.version}",
                partition_key=drop.id,
                tags={DROP: drop.name},
            )
            for drop in drops_to_ingest
        ],
        dynamic_partitions_requests=[
            partitions.build_add_request(ids) for partitions, ids in missing.items() if ids
        ],
    )


WAITING = [dg.AssetKey(table) for table in ("gene_embeddings", "written_statements")]
"""Tables that may wait for batches."""

DAY = "dagster/partition"


def batches_sensor(*jobs: Any) -> dg.SensorDefinition:
    """A sensor that runs the job again whose last run left batches under way.

    A batch may take a day, and no run lasts that long: the run ends, and a table stays pending.
    What is under way is on record in the store.

    Parameters
    ----------
    jobs
        The jobs that build these tables.
    """
    names = {job.name for job in jobs}

    @dg.sensor(
        name="batches",
        jobs=jobs,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="When the Batch API has finished what a run waits for, the run is continued.",
    )
    def batches(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.RunRequest | dg.SkipReason:
        run = _pending_run(context.instance)
        if run is None:
            return dg.SkipReason("no table waits for batches")
        if run.job_name not in names:
            return dg.SkipReason(f"run {run.run_id} was of single assets: materialise them again")
        try:
            unfinished = batches_under_way(platform)
        except ValueError as error:
            return dg.SkipReason(f"the service cannot be asked about its batches: {error}")
        if unfinished:
            until = max((job.until for job in unfinished if job.until), default=None)
            by = f", by {until:%Y-%m-%d %H:%M} UTC at the latest" if until else ""
            return dg.SkipReason(f"{len(unfinished)} batches are under way{by}")
        return dg.RunRequest(
            run_key=run.run_id,
            job_name=run.job_name,
            run_config=run.run_config,
            partition_key=run.tags.get(DAY),
            tags={"genept/because": "batches are finished"},
        )

    return batches


def _pending_run(instance: dg.DagsterInstance) -> dg.DagsterRun | None:
    """The last run that left a table pending which was not materialised since."""
    waiting = []
    for key in WAITING:
        observed = instance.fetch_observations(key, limit=1).records
        materialised = instance.fetch_materializations(key, limit=1).records
        for record in observed:
            is_older = materialised and materialised[0].storage_id > record.storage_id
            if record.asset_observation and not is_older:
                waiting += [record] if PENDING in record.asset_observation.metadata else []
    latest = max(waiting, key=lambda record: record.storage_id, default=None)
    return instance.get_run_by_id(latest.run_id) if latest else None
