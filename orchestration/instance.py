"""The Dagster instance under the state folder, and the lock between runs."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from filelock import FileLock, Timeout

from assets import COLLECTIONS, SPACES
from genept.common import Settings, StoreError, private_folder
from genept.release import RunState

LAUNCHED_BY = {"genept/launched_by": "genept run"}

CODE_LOCATION = "orchestration.definitions"
"""Name of the code location in the UI of `genept ui`."""


_CONFIGURATION = Path(__file__).with_name("dagster.yaml")


def dagster_home(settings: Settings) -> Path:
    """Folder of the instance, with its configuration in place."""
    home = private_folder(settings.private_state() / "dagster")
    source, copy = settings.instance_config or _CONFIGURATION, home / "dagster.yaml"
    if not source.is_file():
        raise StoreError(
            f"{source}, the instance's configuration, is missing: GENEPT_INSTANCE_CONFIG names it"
        )
    if not (copy.exists() and copy.read_bytes() == source.read_bytes()):  # may be mounted
        shutil.copyfile(source, copy)
    os.environ["DAGSTER_HOME"] = str(home)
    return home


@contextmanager
def exclusive_run(settings: Settings) -> Iterator[None]:
    """Hold the lock of `genept run`; it is released when the process ends, however it ends."""
    lock = FileLock(settings.private_state() / "run.lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise StoreError(
            f"another `genept run` is at work under {settings.state}: wait for it to end"
        ) from None
    try:
        yield
    finally:
        lock.release()


def close_killed_runs(instance: dg.DagsterInstance) -> int:
    """Mark runs of `genept run` that never ended as failed; call it under the lock.

    A killed process cannot record its end: its run would be shown as running for ever, and
    would keep its pool slots.
    """
    unfinished = dg.RunsFilter(
        tags=LAUNCHED_BY, statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
    )
    runs = instance.get_runs(unfinished)
    for run in runs:
        place_in_timeline(instance, run.run_id)
        instance.report_run_failed(run, "the process was killed; what it had finished is kept")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return len(runs)


def state_of_run(run_id: str) -> RunState | None:
    """State of a run of this installation's instance; None if it does not know the run.

    Raises
    ------
    StoreError
        A `genept run` is at work here, whether it has claimed anything yet or not.
    """
    settings = Settings()
    with exclusive_run(settings):
        dagster_home(settings)
        with dg.DagsterInstance.get() as instance:
            close_killed_runs(instance)
            run = instance.get_run_by_id(run_id)
    if run is None:
        return None
    if not run.is_finished:
        return "at work"
    return "done" if run.is_success else "given up"


def place_in_timeline(instance: dg.DagsterInstance, run_id: str) -> None:
    """Record the code location of a run, as Dagster does for runs that the UI launches.

    The UI's timeline leaves out a run without it.
    """
    run = instance.get_run_by_id(run_id)
    if run is None or run.remote_job_origin is not None:
        return
    origin = dg.deserialize_value(json.dumps(_origin(run.job_name)))
    instance.run_storage.replace_job_origin(run, origin)  # type: ignore[arg-type]


def _origin(job: str) -> dict[str, Any]:
    """Origin of a job of this code location, as Dagster stores it.

    It has no public class; tests hold that the release of Dagster reads this form.
    """
    target = {
        "__class__": "LoadableTargetOrigin",
        "executable_path": sys.executable,
        "module_name": CODE_LOCATION,
        **dict.fromkeys(("attribute", "package_name", "python_file", "working_directory")),
    }
    location = {
        "__class__": "ManagedGrpcPythonEnvRepositoryLocationOrigin",
        "loadable_target_origin": target,
        "location_name": CODE_LOCATION,
    }
    repository = {
        "__class__": "ExternalRepositoryOrigin",
        "repository_location_origin": location,
        "repository_name": "__repository__",
    }
    return {
        "__class__": "ExternalPipelineOrigin",
        "external_repository_origin": repository,
        "pipeline_name": job,
    }


def register_partitions(
    instance: dg.DagsterInstance, *, collections: Iterable[str], spaces: Iterable[str]
) -> None:
    """Make the partitions those of the installation: add new ones, remove others.

    Partitions of models are added when they are trained: which can be, the labels decide.
    """
    for partitions, ids in ((COLLECTIONS, list(collections)), (SPACES, list(spaces))):
        name = str(partitions.name)
        for removed in sorted(set(instance.get_dynamic_partitions(name)) - set(ids)):
            instance.delete_dynamic_partition(name, removed)
        instance.add_dynamic_partitions(name, ids)
