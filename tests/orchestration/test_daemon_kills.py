"""A daemon, a code server and run workers as deployed.

If they are killed during a run, the next run continues where it ended: one release, no text
embedded twice, no run left open, no pool slot lost. A release that is held in one run worker is
published by the next one after its approval.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest
import yaml
from click import Command
from click.testing import CliRunner
from dagster._cli.job import job_backfill_command, job_launch_command
from installations import PROJECT
from small_installation import SmallInstallation

from assets.news import NEWS
from genept.release.approval_records import approve, current_hold
from genept.storage.embedded_store import EmbeddedStore

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1500)]

SERVED = Path(__file__).parents[1] / "support" / "served_installation.py"
TIMEOUT = 900
"""Seconds; only a busy machine takes that long."""

POOLED = "cell_embeddings"
"""A step that holds a slot of pool `memory` while it runs, after all texts are embedded."""


@dataclass
class Deployed:
    """Processes as under systemd: the daemon and the runs end independently."""

    folder: Path
    installation: SmallInstallation
    instance: dg.DagsterInstance
    environment: dict[str, str]
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *program: str) -> subprocess.Popen[bytes]:
        with (self.folder / "processes.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *program],
                cwd=PROJECT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def start_code_server(self) -> None:
        """Start it, and wait until it answers."""
        address = ("-h", "127.0.0.1", "-p", str(self.port), "-f", str(SERVED))
        self.start("dagster", "code-server", "start", *address)
        self.wait(self._answers)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def start_daemon(self) -> subprocess.Popen[bytes]:
        return self.start("dagster._daemon", "run", "-w", str(self.workspace))

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace.yaml"

    def launch(self) -> str:
        """Queue the job `release`, as the UI does."""
        (run_id,) = self._queued(job_launch_command, "release")
        return run_id

    def backfill(self, *days: str) -> list[str]:
        """Queue a nightly run for each of these partitions."""
        partitions = ("--partitions", ",".join(days), "--noprompt")
        return self._queued(job_backfill_command, "nightly", *partitions)

    def _queued(self, command: Command, job: str, *options: str) -> list[str]:
        known = {run.run_id for run in self.instance.get_runs()}
        result = CliRunner().invoke(command, ["-w", str(self.workspace), "-j", job, *options])
        assert result.exit_code == 0, result.output
        return [run.run_id for run in self.instance.get_runs() if run.run_id not in known]

    def events(self, run_id: str) -> list[dg.DagsterEvent]:
        return [
            entry.dagster_event for entry in self.instance.all_logs(run_id) if entry.dagster_event
        ]

    def wait_for_step(self, run_id: str, step: str) -> int:
        """Wait until the step runs; return the id of its process."""

        def is_at_work() -> bool:
            assert self.status(run_id) != dg.DagsterRunStatus.FAILURE
            return any(
                event.is_step_start and event.step_key == step for event in self.events(run_id)
            )

        self.wait(is_at_work)
        pids = [
            event.engine_event_data.metadata["pid"].value
            for event in self.events(run_id)
            if event.is_engine_event and "pid" in event.engine_event_data.metadata
        ]
        return int(str(pids[-1]))

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status

    def wait_for(self, run_id: str, status: str) -> None:
        def has_ended() -> bool:
            return self.status(run_id).value in {"SUCCESS", "FAILURE", "CANCELED"}

        self.wait(has_ended)
        assert self.status(run_id).value == status

    def wait(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < until, (self.folder / "processes.log").read_text()[-3000:]
            time.sleep(0.1)

    def embedded_texts(self) -> list[str]:
        """Every text that any of the processes embedded."""
        return (self.folder / "embedded.txt").read_text().splitlines()


@pytest.fixture
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    home = tmp_path / "dagster"
    home.mkdir()
    instance_config = yaml.safe_load((PROJECT / "infra" / "dagster.yaml").read_text())
    instance_config["run_monitoring"] |= {
        "poll_interval_seconds": 1,
        "free_slots_after_run_end_seconds": 1,
    }
    (home / "dagster.yaml").write_text(yaml.safe_dump(instance_config))
    server = {"host": "127.0.0.1", "port": port, "location_name": "installation"}
    (tmp_path / "workspace.yaml").write_text(
        yaml.safe_dump({"load_from": [{"grpc_server": server}]})
    )
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        installation = SmallInstallation(tmp_path, instance)
        settings = installation.settings
        environment = os.environ | {
            "INSTALLATION_FOLDER": str(tmp_path),
            "GENEPT_STATE_DIR": str(settings.state),
            "GENEPT_PRODUCT": settings.product,
            "GENEPT_MIRRORS": json.dumps(settings.mirrors),
            "GENEPT_COLLECTIONS": json.dumps(settings.collections),
            "GENEPT_THREADS": "1",
        }
        deployment = Deployed(tmp_path, installation, instance, environment, port)
        try:
            yield deployment
        finally:
            for process in deployment.processes:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            EmbeddedStore(settings.state / "store").stop()


def test_a_killed_worker_and_a_killed_daemon_end_in_one_release(deployed: Deployed) -> None:
    deployed.start_code_server()
    daemon = deployed.start_daemon()

    first = deployed.launch()
    os.kill(deployed.wait_for_step(first, POOLED), signal.SIGKILL)
    deployed.wait_for(first, "FAILURE")  # only the code server can record it
    releases = deployed.installation.releases
    assert releases.current_id() is None

    second = deployed.launch()
    deployed.wait_for_step(second, POOLED)  # so the slot of the killed one is free again
    daemon.kill()
    deployed.wait_for(second, "SUCCESS")
    published = releases.current_id()
    assert published is not None
    assert len(deployed.embedded_texts()) == len(set(deployed.embedded_texts())), (
        "a text was embedded twice"
    )
    texts, objects = deployed.embedded_texts(), _objects(deployed.installation)

    runs = deployed.backfill("2026-11-01", "2026-11-02")
    time.sleep(2)
    assert {deployed.status(run).value for run in runs} == {"QUEUED"}, "no daemon starts them"
    deployed.start_daemon()
    for run in runs:
        deployed.wait_for(run, "SUCCESS")
    assert releases.ids() == [published], "the same content makes no release"
    assert deployed.embedded_texts() == texts
    assert _objects(deployed.installation) == objects, "the same inputs make no objects"
    (observed,) = deployed.instance.fetch_observations(NEWS, limit=1).records
    assert observed.asset_observation is not None
    assert "nothing is built" in str(observed.asset_observation.description), "of the second run"

    storage = deployed.instance.event_log_storage
    pools = storage.get_concurrency_keys()
    deployed.wait(
        lambda: not any(storage.get_concurrency_info(pool).claimed_slots for pool in pools)
    )
    statuses = [run.status.value for run in deployed.instance.get_runs()]
    assert statuses == ["SUCCESS", "SUCCESS", "SUCCESS", "FAILURE"]


def test_a_release_held_in_a_run_worker_is_published_by_the_next_after_approval(
    deployed: Deployed,
) -> None:
    deployed.start_code_server()
    deployed.start_daemon()
    deployed.wait_for(deployed.launch(), "SUCCESS")
    installation, releases = deployed.installation, deployed.installation.releases
    first = releases.current()

    installation.replace_collection("second", cells=3)
    held_run = deployed.launch()
    deployed.wait_for(held_run, "FAILURE")
    assert releases.current() == first
    hold = current_hold(releases)
    assert hold is not None
    assert hold.run == held_run

    approve(releases, by="ada", reason="nine cells were doublets")
    deployed.wait_for(deployed.launch(), "SUCCESS")
    second = releases.current()
    assert second.release_id != first.release_id
    assert second.tables["observations"].rows == first.tables["observations"].rows - 9
    page = releases.store.get(f"{releases.folder(second.release_id)}/audit/approvals.md")
    assert "nine cells were doublets (ada, " in page.decode()

    deployed.wait_for(deployed.launch(), "SUCCESS")
    assert releases.current() == second, "a run without changes publishes nothing"


def _objects(installation: SmallInstallation) -> dict[str, str]:
    """ETags of the objects in the store by key, without the claim and the costs of runs."""
    objects = installation.objects()
    return {
        key: etag for key, etag in objects.items() if key != "run.json" and "run_metrics" not in key
    }
