"""The Dagster instance under the state folder, its SQLite engines, and the lock between runs."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage import sql
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from filelock import FileLock, Timeout
from sqlalchemy.engine import Engine
from sqlalchemy.pool import NullPool

from assets import COLLECTIONS, SPACES
from genept.common import Settings, StoreError, private_folder
from genept.release import RunState


def share_engines() -> None:
    """Make Dagster's SQLite storages share engines; calling it again changes nothing."""
    for storage in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
        vars(storage)["create_engine"] = _engine


def _engine(url: str, **options: Any) -> Engine:
    """Replacement of `create_engine`: one engine per address, made at its first use."""
    timeout = options.get("connect_args", {}).get("timeout")
    return _shared_engine(url, timeout)


@cache
def _shared_engine(url: str, timeout: int | None) -> Engine:
    arguments = {} if timeout is None else {"timeout": timeout}
    return sql.create_engine(url, poolclass=NullPool, connect_args=arguments)


LAUNCHED_BY = {"genept/launched_by": "genept run"}

CODE_LOCATION = "orchestration.definitions"
"""Name of the code location in the UI of `genept ui`."""


_RUN_FROM = "run from a checkout of the project"

_CONFIGURATION = Path(__file__).parents[1] / "infra" / "dagster.yaml"


def dagster_home(settings: Settings) -> Path:
    """Folder of the instance, with its configuration in place."""
    home = private_folder(settings.private_state() / "dagster")
    source, copy = settings.instance_config or _CONFIGURATION, home / "dagster.yaml"
    if not source.is_file():
        remedy = "GENEPT_INSTANCE_CONFIG names it" if settings.instance_config else _RUN_FROM
        raise StoreError(f"{source}, the instance's configuration, is missing: {remedy}")
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
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name=CODE_LOCATION)
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, CODE_LOCATION)
    repository = RemoteRepositoryOrigin(location, SINGLETON_REPOSITORY_NAME)
    instance.run_storage.replace_job_origin(run, RemoteJobOrigin(repository, run.job_name))


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
