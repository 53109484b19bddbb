"""Executors are chosen by configuration alone; files in `infra/` fit their schemas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._config import validate_config
from dagster_k8s.job import (
    DagsterK8sJobConfig,
    UserDefinedDagsterK8sConfig,
    construct_dagster_k8s_job,
)
from dagster_k8s.models import k8s_snake_case_dict
from installations import PROJECT
from kubernetes.client import models

from genept.common.errors import StoreError
from genept.common.settings import Settings
from orchestration.definitions import build_defs
from orchestration.executors import executor_of

INFRA = PROJECT / "infra"
KUBERNETES = INFRA / "kubernetes"


def read_yaml(path: Path) -> dict[str, Any]:
    document = yaml.safe_load(path.read_text())
    assert isinstance(document, dict)
    return document


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:8786")


@pytest.mark.parametrize(("name", "folder"), [("dask", "dask"), ("kubernetes", "kubernetes")])
@pytest.mark.usefixtures("scheduler")
def test_the_same_assets_run_on_a_cluster_by_configuration(
    tmp_path: Path, name: str, folder: str
) -> None:
    local = build_defs(Settings(state_dir=tmp_path)).resolve_job_def("release")
    settings = Settings(
        state_dir=tmp_path,
        executor=name,
        executor_config=INFRA / folder / "executor.yaml",
        lanes=3,
    )
    remote = build_defs(settings).resolve_job_def("release")
    assert remote.executor_def.name == name
    lanes = {f"embedding_lane__{number:03d}" for number in range(3)}
    assert {node.name for node in remote.nodes} == {node.name for node in local.nodes} | lanes
    graph = build_defs(settings).resolve_asset_graph()
    for table in ("cell_embeddings", "sample_embeddings"):
        parents = {key.to_user_string() for key in graph.get(dg.AssetKey(table)).parent_keys}
        assert {f"embedding_lane/{number:03d}" for number in range(3)} < parents


@pytest.mark.parametrize("name", ["dask", "kubernetes"])
def test_a_cluster_without_configuration_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match=r"GENEPT_EXECUTOR_CONFIG.*infra/dask/executor.yaml"):
        executor_of(Settings(state_dir=tmp_path, executor=name))
    (tmp_path / "list.yaml").write_text("- cluster\n")
    with pytest.raises(StoreError, match=r"list.yaml: expected a mapping"):
        executor_of(
            Settings(state_dir=tmp_path, executor=name, executor_config=tmp_path / "list.yaml")
        )


@pytest.mark.usefixtures("scheduler")
@pytest.mark.parametrize("folder", ["dask", "kubernetes"])
def test_the_executors_accept_their_configuration(folder: str) -> None:
    from dagster_dask import dask_executor
    from dagster_k8s import k8s_job_executor

    executor = {"dask": dask_executor, "kubernetes": k8s_job_executor}[folder]
    config = read_yaml(INFRA / folder / "executor.yaml")
    schema = executor.config_schema.config_type
    assert validate_config(schema, config).errors is None or validate_config(schema, config).success
    assert not validate_config(schema, config | {"workers": 2}).success


def test_a_step_becomes_a_valid_kubernetes_job() -> None:
    config = read_yaml(KUBERNETES / "executor.yaml")["step_k8s_config"]
    job = construct_dagster_k8s_job(
        DagsterK8sJobConfig(
            job_image="registry.example/genept:0.1.0", dagster_home="/opt/dagster/home"
        ),
        args=["dagster", "api", "execute_step"],
        job_name="step",
        user_defined_k8s_config=UserDefinedDagsterK8sConfig.from_dict(config),
    )
    (container,) = job.spec.template.spec.containers
    assert container.resources.requests == {"cpu": "1", "memory": "2Gi"}
    assert job.spec.template.spec.restart_policy == "Never"
    assert job.spec.backoff_limit == 2


def test_kubernetes_and_the_launcher_accept_the_values_of_the_chart() -> None:
    values = read_yaml(KUBERNETES / "values.yaml")
    assert values["telemetry"] == {"enabled": False}
    launcher = values["runLauncher"]["config"]["k8sRunLauncher"]
    raw = launcher["runK8sConfig"]
    assert k8s_snake_case_dict(models.V1Container, {"name": "run"} | raw["containerConfig"])
    assert k8s_snake_case_dict(models.V1JobSpec, {"template": {}} | raw["jobSpecConfig"])
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    requirements = k8s_snake_case_dict(models.V1ResourceRequirements, deployment["resources"])
    assert requirements["requests"] == {"cpu": "500m", "memory": "1Gi"}
    assert deployment["codeServerArgs"] == ["-m", "orchestration.definitions"]
    assert {secret["name"] for secret in deployment["envSecrets"]} == {
        "genept-s3",
        "genept-prefect",
        "genept-openai",
    }
    assert deployment["envSecrets"] == launcher["envSecrets"]
