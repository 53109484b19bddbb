"""The read-only UI: whoever reaches it may look, and launch or change nothing."""

from __future__ import annotations

import json
import os
import sys
from typing import Any
from urllib.request import Request, urlopen

import pytest
from installations import Installation
from served_ui import served_ui

from orchestration import commands

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


def asked(ui: str, query: str) -> dict[str, Any]:
    body = json.dumps({"query": query}).encode()
    request = Request(f"{ui}/graphql", body, {"Content-Type": "application/json"})  # noqa: S310
    with urlopen(request, timeout=120) as answer:  # noqa: S310 - loopback
        found = json.load(answer)
    assert "errors" not in found, found["errors"]
    data = found["data"]
    assert isinstance(data, dict)
    return data


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_viewer_sees_everything_and_launches_nothing(bare_installation: Installation) -> None:
    with served_ui(bare_installation, "--read-only") as ui:
        (repository,) = asked(ui, JOBS)["repositoriesOrError"]["nodes"]
        assert "release" in {job["name"] for job in repository["jobs"]}
        assert asked(ui, LAUNCH)["launchPipelineExecution"]["__typename"] == "UnauthorizedError"
        assert asked(ui, START)["startSensor"]["__typename"] == "UnauthorizedError"
    told = (bare_installation.state / "ui.log").read_text()
    assert "http://127.0.0.1" in told


@pytest.mark.parametrize("read_only", [False, True])
def test_both_uis_listen_on_this_machine_only(
    bare_installation: Installation, monkeypatch: pytest.MonkeyPatch, read_only: bool
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, arguments: started.append(arguments))
    monkeypatch.setenv("GENEPT_STATE_DIR", str(bare_installation.state))
    monkeypatch.setenv("DAGSTER_HOME", "")
    commands.ui(port=3000, read_only=read_only)
    ((program, *arguments),) = started
    assert program == sys.executable
    assert arguments[arguments.index("-h") + 1] == "127.0.0.1"
    assert ("--read-only" in arguments) is read_only
    assert ("dev" in arguments) is not read_only
