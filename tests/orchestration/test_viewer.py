"""`genept ui` requires its link, and a viewer launches and changes nothing."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from installations import Installation
from served_ui import ServedUI, served_ui

LAUNCH = """
mutation { launchPipelineExecution(executionParams: {
  mode: "default", runConfigData: {},
  selector: {repositoryName: "__repository__", repositoryLocationName: "orchestration.definitions",
             pipelineName: "release"}
}) { __typename } }
"""
START = """
mutation { startSensor(sensorSelector: {
  repositoryName: "__repository__", repositoryLocationName: "orchestration.definitions",
  sensorName: "inbox"
}) { __typename } }
"""
JOBS = "{ repositoriesOrError { ... on RepositoryConnection { nodes { jobs { name } } } } }"


def query_ui(ui: ServedUI, query: str) -> dict[str, Any]:
    response = httpx.post(
        f"{ui.address}/graphql", json={"query": query}, headers=ui.bearer, timeout=120
    )
    document = response.raise_for_status().json()
    assert "errors" not in document, document["errors"]
    data = document["data"]
    assert isinstance(data, dict)
    return data


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_viewer_sees_everything_and_launches_nothing(bare_installation: Installation) -> None:
    with served_ui(bare_installation, "--read-only") as ui:
        (repository,) = query_ui(ui, JOBS)["repositoriesOrError"]["nodes"]
        assert "release" in {job["name"] for job in repository["jobs"]}
        assert query_ui(ui, LAUNCH)["launchPipelineExecution"]["__typename"] == "UnauthorizedError"
        assert query_ui(ui, START)["startSensor"]["__typename"] == "UnauthorizedError"
        names = {process.name() for process in psutil.Process(ui.process.pid).children()}
        assert "dagster-daemon" not in names


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_the_ui_of_one_machine_requires_the_link(
    bare_installation: Installation,
) -> None:
    page = bare_installation.state / "ui.html"
    with served_ui(bare_installation) as ui:
        assert page.stat().st_mode & 0o777 == 0o600
        assert escape(ui.link) in page.read_text()
        assert httpx.get(ui.address).status_code == 401
        (repository,) = query_ui(ui, JOBS)["repositoriesOrError"]["nodes"]
        assert "release" in {job["name"] for job in repository["jobs"]}

        main = psutil.Process(ui.process.pid)
        children = main.children(recursive=True)
        store = [
            process for process in children if process.name() == "weed"
        ]  # outlives the UI on purpose
        processes = [main, *(process for process in children if process not in store)]
        assert len(processes) >= 4, "code server with its worker, and the daemon"
        listening = {
            connection.laddr.port
            for process in processes
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
        assert listening == {int(ui.address.rpartition(":")[2])}
        sockets = {
            Path(connection.laddr)
            for process in processes
            for connection in process.net_connections("unix")
            if str(connection.laddr).startswith("/")
        }
        assert sockets, "the code server listens on a socket"
        for path in sockets:
            assert path.stat().st_mode & 0o077 == 0, path

        main.kill()
        assert psutil.wait_procs(processes, timeout=90)[1] == [], "all end with it"
