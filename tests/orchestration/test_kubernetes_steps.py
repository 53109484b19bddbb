"""Steps as a cluster runs them: each by its own command line, with variables and nothing else."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster_k8s.models import k8s_snake_case_dict
from installations import PROJECT
from kubernetes.client import models
from loopback_kubernetes import Cluster, loopback_kubernetes

from genept.storage.lake import Lake
from genept.storage.object_store import ObjectStore

VALUES = yaml.safe_load((PROJECT / "infra" / "kubernetes" / "values.yaml").read_text())
SECTIONS = (
    ("container_config", "containerConfig", models.V1Container),
    ("pod_spec_config", "podSpecConfig", models.V1PodSpec),
    ("job_spec_config", "jobSpecConfig", models.V1JobSpec),
)
EXECUTOR = PROJECT / "infra" / "kubernetes" / "executor.yaml"

pytestmark = [pytest.mark.soak, pytest.mark.index, pytest.mark.timeout(900)]


def test_each_step_runs_in_an_empty_folder_with_the_variables_of_its_pod(
    tmp_path: Path, object_store: ObjectStore, archives_in_place: Path
) -> None:
    access, product = object_store.access, f"pods-{secrets.token_hex(4)}"
    state, home = tmp_path / "state", tmp_path / "dagster"
    (state / "cache").mkdir(parents=True)
    (state / "cache" / "archives").symlink_to(archives_in_place)
    home.mkdir()
    executor = tmp_path / "executor.yaml"
    config = {
        "GENEPT_S3_ENDPOINT": str(access.endpoint_url),
        "GENEPT_BUCKET": access.bucket,
        "GENEPT_PRODUCT": product,
        "GENEPT_STATE_DIR": str(state),
        "GENEPT_EXECUTOR": "kubernetes",
        "GENEPT_EXECUTOR_CONFIG": str(executor),
        "DAGSTER_HOME": str(home),
    }
    keys = {
        "GENEPT_S3_ACCESS_KEY": access.access_key,
        "GENEPT_S3_SECRET_KEY": access.secret_key,
    }
    none: dict[str, str] = {}
    sources = {"genept": config, "genept-s3": keys, "genept-prefect": none, "genept-openai": none}
    cluster = Cluster(tmp_path / "pods", sources)
    cluster.folder.mkdir()
    with loopback_kubernetes(cluster) as kubeconfig:
        place = {
            "job_namespace": "genept",
            "job_image": "registry.example/genept:0.1.0",
            "load_incluster_config": False,
            "kubeconfig_file": str(kubeconfig),
        }
        executor.write_text(yaml.safe_dump(yaml.safe_load(EXECUTOR.read_text()) | place))
        launcher = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
        launched = {
            "dagster_home": str(home),
            "instance_config_map": "instance",
            "service_account_name": "genept",
            "image_pull_policy": launcher["imagePullPolicy"],
            "env_config_maps": [source["name"] for source in launcher["envConfigMaps"]],
            "env_secrets": [source["name"] for source in launcher["envSecrets"]],
            "run_k8s_config": {
                section: k8s_snake_case_dict(model, launcher["runK8sConfig"][name])
                for section, name, model in SECTIONS
            },
        }
        instance = {
            "telemetry": {"enabled": False},
            "run_launcher": {
                "module": "dagster_k8s",
                "class": "K8sRunLauncher",
                "config": place | launched,
            },
        }
        (home / "dagster.yaml").write_text(yaml.safe_dump(instance))
        empty = tmp_path / "empty"
        empty.mkdir()
        command = ["asset", "materialize", "-m", "orchestration.definitions", "--select", "genes"]
        run = subprocess.run(
            [str(Path(sys.executable).with_name("dagster")), *command],
            cwd=empty,
            env={"PATH": os.defpath, "HOME": str(empty)} | config | keys,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        printed = "\n".join(map(cluster.output, cluster.jobs))
        assert run.returncode == 0, (run.stdout + run.stderr)[-3000:] + printed[-3000:]

    assert len(cluster.jobs) >= 2, "the table and its check are steps of their own"
    for job in cluster.jobs.values():
        pod = job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["restartPolicy"] == "Never"
        assert container["resources"]["limits"] == {"memory": "4Gi"}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert keys["GENEPT_S3_SECRET_KEY"] not in str(job), "keys come from the Secret alone"
    with dg.DagsterInstance.from_config(str(home)) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("genes"))
    version = event.asset_materialization.tags["dagster/data_version"]
    table = Lake(object_store, product, tmp_path / "parts").table("genes", version)
    assert table.rows > 70_000
