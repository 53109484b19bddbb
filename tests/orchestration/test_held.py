"""Held, approved, published, held again: through Dagster, in process and in step processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import held_run
import pytest
from installations import PROJECT

from genept.client.platform import Platform
from genept.common.errors import StoreError
from genept.release.approval_records import approve, current_hold
from genept.storage.embedded_store import EmbeddedStore
from orchestration.commands import require_published
from orchestration.failures import failure_report

LOGGERS = {"loggers": {"console": {}}}
IN_PROCESS = {"execution": {"config": {"in_process": {}}}} | LOGGERS
STEP_PROCESSES = {"execution": {"config": {"multiprocess": {"max_concurrent": 1}}}} | LOGGERS


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """An installation that the environment names, with a first release of planted tables."""
    monkeypatch.setenv("GENEPT_STATE_DIR", str(tmp_path / "state"))
    platform = Platform(held_run.settings())
    held_run.publish_first_release(platform)
    yield platform
    EmbeddedStore(tmp_path / "state" / "store").stop()


def run(instance: dg.DagsterInstance, config: dict[str, object]) -> tuple[dg.DagsterRun, str]:
    """Run the job in another process of the installation; return the ended run, and the output."""
    path = os.pathsep.join([str(PROJECT), str(Path(held_run.__file__).parent)])
    code = "import sys, held_run; held_run.execute(sys.argv[1])"
    ended = subprocess.run(
        [sys.executable, "-c", code, json.dumps(config)],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    (newest,) = instance.get_runs(limit=1)
    return newest, ended.stdout


def failure(instance: dg.DagsterInstance, ended: dg.DagsterRun) -> dg.DagsterEvent:
    assert ended.status == dg.DagsterRunStatus.FAILURE
    (entry,) = instance.all_logs(ended.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    assert entry.dagster_event is not None
    return entry.dagster_event


@pytest.fixture
def late_tail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `tail` that begins late, as on a loaded machine; Dagster copies output of steps by it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "tail").write_text(f'#!/bin/sh\nsleep 2\nexec {shutil.which("tail")} "$@"\n')
    (folder / "tail").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


@pytest.mark.slow
@pytest.mark.usefixtures("late_tail")
def test_hold_approve_publish_and_hold_again(platform: Platform, tmp_path: Path) -> None:
    releases = platform.releases
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        held_run.report_materialisations(
            instance, platform.releases.current(), genes=held_run.genes(platform, 30)
        )
        first = releases.current()
        ended, printed = run(instance, IN_PROCESS)
        event = failure(instance, ended)
        assert "genes: 100 rows became 30 (−70%)" in printed
        assert "genept release approve --reason" in printed
        assert "Traceback" not in printed
        assert "Failure" not in printed
        failure_data = event.step_failure_data.user_failure_data
        assert failure_data is not None
        (record,) = failure_data.metadata["held"].records
        assert record.data == {
            "table": "genes", "part": "the whole table", "before": 100, "after": 30,
        }  # fmt: skip
        report = failure_report(ended, "", [event])
        assert "genept release approve" in report
        with pytest.raises(StoreError, match=r"is held for approval.*genept release approve"):
            require_published(instance, ended.run_id)
        hold = current_hold(releases)
        assert hold is not None
        assert hold.run in {entry.run_id for entry in instance.get_runs()}
        assert releases.current() == first

        approve(releases, by="ada", reason="HGNC withdrew them")
        ended, printed = run(instance, STEP_PROCESSES)
        assert ended.is_success, printed
        second = releases.current()
        assert second.tables["genes"].rows == 30
        page = releases.store.get(f"{releases.folder(second.release_id)}/audit/approvals.md")
        assert "HGNC withdrew them (ada, " in page.decode()

        held_run.report_materialisations(instance, second, genes=held_run.genes(platform, 12))
        event = failure(instance, run(instance, IN_PROCESS)[0])
        assert "30 rows became 12" in str(event.step_failure_data.user_failure_data.description)
        assert releases.current() == second
