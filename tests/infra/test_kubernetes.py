"""The values of the chart: the chart defines every name, and no value is a password."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster_k8s.models import k8s_snake_case_dict
from kubernetes.client import models

from genept.common.settings import Settings
from orchestration.guard import HEALTH

VALUES = Path(__file__).parents[2] / "infra" / "kubernetes" / "values.yaml"
CHART = {
    "": "global generatePostgresqlPasswordSecret postgresql dagster-user-deployments "
    "dagsterWebserver dagsterDaemon runLauncher telemetry",
    "global": "postgresqlSecretName dagsterHome serviceAccountName celeryConfigSecretName",
    "postgresql": "image enabled postgresqlHost postgresqlUsername postgresqlPassword "
    "postgresqlDatabase postgresqlParams postgresqlScheme service",
    "dagsterWebserver": "replicaCount image service env envConfigMaps envSecrets resources "
    "podSecurityContext securityContext enableReadOnly pathPrefix logLevel readinessProbe",
    "dagsterDaemon": "enabled image runCoordinator env envConfigMaps envSecrets resources "
    "podSecurityContext securityContext runMonitoring runRetries sensors schedules",
}
"""Names that the schema of chart 1.13 allows in sections that allow no others; without Helm."""

DEPLOYMENT = (
    "name image dagsterApiGrpcArgs codeServerArgs includeConfigInLaunchedRuns port env "
    "envConfigMaps envSecrets podSecurityContext securityContext resources"
)


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    document = yaml.safe_load(VALUES.read_text())
    assert isinstance(document, dict)
    return document


def test_the_chart_knows_every_name(values: dict[str, Any]) -> None:
    for section, known in CHART.items():
        assert set(values[section] if section else values) <= set(known.split()), section
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    assert set(deployment) <= set(DEPLOYMENT.split())


def test_passwords_are_references_to_secrets(values: dict[str, Any]) -> None:
    assert values["global"]["postgresqlSecretName"] == "genept-postgresql"
    assert values["generatePostgresqlPasswordSecret"] is False
    assert values["postgresql"]["enabled"] is False
    assert "postgresqlPassword" not in values["postgresql"]
    assert "envSecrets" not in values["dagsterDaemon"], "only code and runs hold the data's keys"
    assert values["dagsterWebserver"]["envSecrets"] == [{"name": "genept-ui"}], "its own tokens"


def test_the_webservers_of_the_chart_are_guarded(values: dict[str, Any]) -> None:
    infra = VALUES.parents[1]
    guarded = infra / "bin" / "dagster-webserver"  # the chart starts the first of that name
    assert guarded.stat().st_mode & 0o111
    assert "-m orchestration.webserver" in guarded.read_text()
    assert "ENV PATH=/opt/genept/infra/bin:" in (infra / "Dockerfile").read_text()
    probe = k8s_snake_case_dict(models.V1Probe, values["dagsterWebserver"]["readinessProbe"])
    assert probe["http_get"]["path"] == HEALTH
    (hosts,) = values["dagsterWebserver"]["env"]
    assert Settings(ui_hosts=json.loads(hosts["value"])).ui_hosts


def test_nothing_runs_as_root_and_viewers_are_read_only(values: dict[str, Any]) -> None:
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    run = values["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]
    pods = [
        *(workload["podSecurityContext"] for workload in (deployment, values["dagsterWebserver"])),
        values["dagsterDaemon"]["podSecurityContext"],
        run["podSpecConfig"]["securityContext"],
    ]
    for pod in pods:
        assert k8s_snake_case_dict(models.V1PodSecurityContext, pod)["run_as_non_root"] is True
    container = k8s_snake_case_dict(models.V1SecurityContext, deployment["securityContext"])
    assert container["allow_privilege_escalation"] is False
    assert values["dagsterWebserver"]["enableReadOnly"] is True
    assert values["dagsterWebserver"]["service"]["type"] == "ClusterIP"
