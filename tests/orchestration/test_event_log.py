"""A run writes its events over few connections, and other processes read them meanwhile."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

import dagster as dg
import pytest

from orchestration.event_log import MOST_HELD, held_connections

STEPS = 5


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file of a database was opened, by its name."""
    counts: Counter[str] = Counter()
    connect = sqlite3.dbapi2.connect

    def counted(database: str, *arguments: object, **named: object) -> sqlite3.Connection:
        counts[Path(database).name] += 1
        return connect(database, *arguments, **named)

    monkeypatch.setattr(sqlite3.dbapi2, "connect", counted)
    return counts


def job_that_reads(folder: Path) -> dg.JobDefinition:
    """Of a few assets; each sees what was materialised before it as another process would."""

    def asset(number: int) -> dg.AssetsDefinition:
        @dg.asset(name=f"table_{number}")
        def table() -> None:
            with dg.DagsterInstance.from_config(str(folder)) as other:
                seen = other.event_log_storage.all_asset_keys()
            assert {f"table_{earlier}" for earlier in range(number)} <= {
                key.to_user_string() for key in seen
            }

        return table

    assets = [asset(number) for number in range(STEPS)]
    return dg.Definitions(assets=assets).resolve_implicit_global_asset_job_def()


def test_the_databases_are_opened_once_and_read_by_others(
    tmp_path: Path, opened: Counter[str]
) -> None:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        with held_connections(instance):
            result = job_that_reads(tmp_path).execute_in_process(instance=instance)
        own = opened[f"{result.run_id}.db"]
        assert not list(tmp_path.rglob("*-wal")), "nothing is held any more"
        events = len(instance.all_logs(result.run_id))
        assert own < events / 3, "a few times to make its tables, and once to hold it"
        assert opened[f"{result.run_id}.db"] > own, "afterwards Dagster opens it itself"
    with dg.DagsterInstance.from_config(str(tmp_path)) as later:
        assert len(later.all_logs(result.run_id)) == events


@pytest.mark.slow
def test_few_databases_are_held(tmp_path: Path, opened: Counter[str]) -> None:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        runs = [
            job_that_reads(tmp_path).execute_in_process(instance=instance).run_id
            for _ in range(MOST_HELD + 1)
        ]
        opened.clear()
        with held_connections(instance):
            for run in 3 * runs:
                assert instance.all_logs(run)
        times = [opened[f"{run}.db"] for run in runs]
        assert times == sorted(times)
        assert times[0] < times[-1]


def test_a_commit_waits_for_a_journal_that_a_kill_leaves_whole(tmp_path: Path) -> None:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        run = job_that_reads(tmp_path).execute_in_process(instance=instance).run_id
        storage = instance.event_log_storage
        with held_connections(instance), storage.run_connection(run) as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
        with storage.run_connection(run) as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
