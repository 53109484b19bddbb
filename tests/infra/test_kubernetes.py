"""The values of the chart: the chart defines every name, and no value is a password."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import prefect.settings
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


@pytest.fixture(scope="module")
def manifests() -> dict[str, dict[str, Any]]:
    """The Prefect manifests, by kind and name."""
    documents = yaml.safe_load_all((VALUES.parent / "prefect.yaml").read_text())
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in documents}


MODELS = {
    "Service": models.V1Service,
    "PersistentVolumeClaim": models.V1PersistentVolumeClaim,
    "Deployment": models.V1Deployment,
}


def test_kubernetes_knows_every_field_of_the_prefect_manifests(
    manifests: dict[str, dict[str, Any]],
) -> None:
    assert set(manifests) == {
        *("Service/genept-prefect", "PersistentVolumeClaim/genept-prefect"),
        *("Deployment/genept-prefect", "Deployment/genept-worker"),
    }
    for name, manifest in manifests.items():
        k8s_snake_case_dict(MODELS[name.split("/")[0]], manifest)
    with pytest.raises(Exception, match="replica"):
        k8s_snake_case_dict(models.V1DeploymentSpec, {"replica": 1})


def test_prefect_requires_a_key_and_a_worker_runs_the_flows(
    manifests: dict[str, dict[str, Any]], values: dict[str, Any]
) -> None:
    assert manifests["Service/genept-prefect"]["spec"]["type"] == "ClusterIP"
    commands = {}
    for name in ("genept-prefect", "genept-worker"):
        pod = manifests[f"Deployment/{name}"]["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        (container,) = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        commands[name] = container["command"]
        secrets = [source["secretRef"]["name"] for source in container["envFrom"][-1:]]
        assert secrets == ["genept-prefect"]
        variables = [item["name"] for item in container["env"]]
        prefect_names = [variable for variable in variables if variable.startswith("PREFECT_")]
        assert not [name for name in prefect_names if not hasattr(prefect.settings, name)], (
            "unknown"
        )
        assert not [item for item in container["env"] if "AUTH" in item["name"]]
    assert commands["genept-prefect"][:3] == ["prefect", "server", "start"]
    assert commands["genept-worker"] == ["genept", "worker"]
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    launcher = values["runLauncher"]["config"]["k8sRunLauncher"]
    for workload in (deployment, launcher):
        assert {"name": "genept-prefect"} in workload["envSecrets"]
