"""`compose.yaml` for one host with Docker: Compose reads it, and it contains no password."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import prefect.settings
import pytest
import yaml

from genept.common.settings import Settings
from orchestration.guard import HEALTH

PROJECT = Path(__file__).parents[2]
COMPOSE = PROJECT / "infra" / "compose.yaml"
SECRETS = {
    "GENEPT_POSTGRES_PASSWORD",
    "GENEPT_S3_ACCESS_KEY",
    "GENEPT_S3_SECRET_KEY",
    "GENEPT_STORE_SIGNING_KEY",
    "GENEPT_PREFECT_PASSWORD",
    "GENEPT_UI_TOKEN",
    "GENEPT_VIEWER_TOKEN",
}
SECRET_NAME = re.compile(r"PASSWORD|SECRET|KEY|TOKEN|AUTH_STRING")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document = yaml.safe_load(COMPOSE.read_text())
    assert isinstance(document, dict)
    return document


def compose_program() -> list[str]:
    """Docker's plugin or Debian's older program; neither needs an engine to read a file."""
    if shutil.which("docker"):
        result = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        if result.returncode == 0:
            return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    pytest.skip("neither `docker compose` nor docker-compose is installed")


def config(**settings: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("GENEPT_")
    }
    return subprocess.run(
        [*compose_program(), "-f", str(COMPOSE), "config"],
        env=environment | settings,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_file_fits_the_compose_specification() -> None:
    checked = subprocess.run(
        [
            *(sys.executable, "-m", "check_jsonschema"),
            *("--builtin-schema", "vendor.compose-spec", str(COMPOSE)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.soak
def test_compose_reads_the_file_and_requires_every_password() -> None:
    secrets = dict.fromkeys(SECRETS, "planted-value")
    accepted = config(**secrets)
    assert accepted.returncode == 0, accepted.stderr
    assert set(yaml.safe_load(accepted.stdout)["services"]) == {
        *("postgres", "store", "prefect", "worker", "code", "daemon", "webserver", "viewer")
    }
    for name in sorted(SECRETS):
        refused = config(**{key: value for key, value in secrets.items() if key != name})
        assert refused.returncode != 0, f"compose starts without {name}"
        assert name in refused.stderr


def test_every_secret_comes_from_outside(compose: dict[str, Any]) -> None:
    named: set[str] = set()
    for service, declared in compose["services"].items():
        for name, value in (declared.get("environment") or {}).items():
            if SECRET_NAME.search(name) and value is not None:
                required = re.findall(r"\$\{(\w+):\?is not set\}", value)
                assert required, f"{service}: {name} has a default"
                named.update(required)
    assert named == SECRETS


def test_only_webservers_publish_ports_and_on_loopback(compose: dict[str, Any]) -> None:
    published = {
        name: service["ports"]
        for name, service in compose["services"].items()
        if "ports" in service
    }
    assert set(published) == {"webserver", "viewer", "prefect"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert compose["networks"]["inside"]["internal"] is True
    assert compose["services"]["viewer"]["command"][-1] == "--read-only"
    reaches_out = {
        n for n, service in compose["services"].items() if "outside" in service["networks"]
    }
    assert reaches_out == {"code", "worker"}


def test_webservers_are_guarded_and_the_code_server_has_no_port(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name in ("webserver", "viewer"):
        assert services[name]["command"][:3] == ["python", "-m", "orchestration.webserver"]
        assert services[name]["healthcheck"]["test"][-1].endswith(HEALTH)
    socket = services["code"]["environment"]["GENEPT_CODE_SOCKET"]
    assert services["code"]["command"][3:5] == ["-s", socket]
    assert not [word for word in services["code"]["command"] if word in ("-p", "-h")]
    for name in ("code", "daemon", "webserver", "viewer"):
        assert f"socket:{Path(socket).parent}" in services[name]["volumes"]
    workspace = yaml.safe_load((PROJECT / "infra" / "workspace.yaml").read_text())
    (location,) = (entry["grpc_server"] for entry in workspace["load_from"])
    assert location == {"socket": {"env": "GENEPT_CODE_SOCKET"}, "location_name": "genept"}


def test_prefect_asks_for_a_key_and_a_worker_runs_the_flows(compose: dict[str, Any]) -> None:
    server, worker = compose["services"]["prefect"], compose["services"]["worker"]
    key = worker["environment"]["PREFECT_API_AUTH_STRING"]
    assert server["environment"]["PREFECT_SERVER_API_AUTH_STRING"] == key
    assert "--no-ui" not in server["command"]
    assert server["environment"]["PREFECT_SERVER_UI_API_URL"] == (
        f"{compose['services']['code']['environment']['PREFECT_UI_URL']}/api"
    )
    for name in ("code", "worker"):
        assert compose["services"][name]["environment"]["PREFECT_API_URL"] == (
            "http://prefect:4200/api"
        )
    assert worker["command"] == ["genept", "worker"]
    for service in (server, worker):
        names = [name for name in service["environment"] if name.startswith("PREFECT_")]
        assert names
        assert not [name for name in names if not hasattr(prefect.settings, name)], "unknown"
    port = worker["environment"]["PREFECT_WORKER_WEBSERVER_PORT"]
    assert worker["healthcheck"]["test"][-1] == f"http://127.0.0.1:{port}/health"


def test_schedules_run_unless_the_environment_says_otherwise(
    compose: dict[str, Any],
) -> None:
    environment = compose["services"]["code"]["environment"]
    assert environment["GENEPT_UNATTENDED"] == "${GENEPT_UNATTENDED:-true}"
    assert environment["GENEPT_FAILURE_WEBHOOK"] is None, "handed on if it is set"
    known = {f"GENEPT_{name.upper()}" for name in Settings.model_fields}
    genept_names = {name for name in environment if name.startswith("GENEPT_")}
    assert genept_names - known == {name for name in genept_names if "_POSTGRES_" in name} | {
        "GENEPT_CODE_SOCKET"
    }


def test_every_service_is_watched_and_hardened(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
        assert "no-new-privileges:true" in service["security_opt"], name
        if name != "postgres":  # Postgres' own image changes its user itself
            assert service["cap_drop"] == ["ALL"], name
            assert service["read_only"] is True, name


def test_webserver_and_daemon_have_no_keys_of_data_or_services(
    compose: dict[str, Any],
) -> None:
    tokens_by_service = {
        "daemon": set(),
        "webserver": {"GENEPT_UI_TOKEN"},
        "viewer": {"GENEPT_VIEWER_TOKEN"},
    }
    for name, tokens in tokens_by_service.items():
        names = set(compose["services"][name]["environment"])
        secrets = {variable for variable in names if SECRET_NAME.search(variable)}
        assert secrets == {"GENEPT_POSTGRES_PASSWORD"} | tokens


def test_the_image_is_installed_by_hash_without_secrets_and_not_run_as_root() -> None:
    instructions = (PROJECT / "infra" / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in instructions.splitlines() if line and not line.startswith("#")]
    by_word = [line.split(None, 1) for line in lines]
    assert not [rest for word, rest in by_word if word == "ARG"]
    environment = " ".join(rest for word, rest in by_word if word == "ENV")
    assert not SECRET_NAME.search(environment)
    assert [rest for word, rest in by_word if word == "USER"] == ["10001:10001"]
    installs = [line for line in lines if re.search(r"pip install", line)]
    for install in " && ".join(installs).split("&&"):
        if "pip install" in install:
            assert "--require-hashes" in install or "--no-deps" in install, install
    ignored = (PROJECT / "infra" / "Dockerfile.dockerignore").read_text().splitlines()
    included = {pattern.removeprefix("!") for pattern in ignored if pattern.startswith("!")}
    assert "*" in ignored
    assert {".genept", "genept.toml", ".git", "tests"}.isdisjoint(included)
    copied = {
        source
        for word, rest in by_word
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    for source in copied:
        assert (PROJECT / source).exists(), source
        assert source.split("/")[0] in included, f"{source} is not in the build's context"
