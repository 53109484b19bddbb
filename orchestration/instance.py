"""The Dagster instance under the state folder, and the lock that keeps runs apart."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from assets.text import SPACES
from genept.settings import Settings
from genept.store.errors import StoreError

LAUNCHED_BY = {"genept/launched_by": "genept run"}
_RUN_FROM = "run from a checkout of the project"
_CONFIGURATION = Path(__file__).parents[1] / "infra" / "dagster.yaml"


def dagster_home(settings: Settings) -> Path:
    """Folder of the instance, with its configuration in place."""
    home = settings.state / "dagster"
    home.mkdir(parents=True, exist_ok=True)
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
    """Hold the lock of `genept run`; it is let go when the process ends, however it ends."""
    path = settings.state / "run.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"another `genept run` is at work under {settings.state}: wait for it to end"
            ) from None
        yield


def close_killed_runs(instance: dg.DagsterInstance) -> int:
    """Mark runs of `genept run` that never ended as failed; call it under the lock.

    A killed process cannot say that it ended, and its run would be shown as going
    on for ever, its slots of pools taken.
    """
    unfinished = dg.RunsFilter(
        tags=LAUNCHED_BY, statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
    )
    runs = instance.get_runs(unfinished)
    for run in runs:
        instance.report_run_failed(run, "the process was killed; what it had finished is kept")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return len(runs)


def register_spaces(instance: dg.DagsterInstance, known: Sequence[str]) -> None:
    """Make the partitions of `space_vectors` those that are known: new ones in, lost ones out."""
    name = str(SPACES.name)
    for lost in sorted(set(instance.get_dynamic_partitions(name)) - set(known)):
        instance.delete_dynamic_partition(name, lost)
    instance.add_dynamic_partitions(name, list(known))
