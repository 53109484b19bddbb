"""The store of `compose.yaml` without Docker: the same program, arguments and health check."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from attacks import attack

from genept.common.errors import StoreError
from genept.common.operating_system import private_folder
from genept.storage import embedded_server as server
from genept.storage.object_store import ObjectStore

COMPOSE = Path(__file__).parents[2] / "infra" / "compose.yaml"
KEYS = {"AWS_ACCESS_KEY_ID": "composed", "AWS_SECRET_ACCESS_KEY": "composed-secret"}


@pytest.fixture(scope="module")
def service() -> dict[str, Any]:
    definition = yaml.safe_load(COMPOSE.read_text())["services"]["store"]
    assert isinstance(definition, dict)
    return definition


@pytest.fixture(scope="module")
def composed(
    service: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, psutil.Process, Path]]:
    """The command of the service, with the host names, ports and folders of this machine."""
    data = tmp_path_factory.mktemp("composed")
    ports = server.choose_ports({})
    replacements = {"/tmp/": f"{private_folder(data / 'tmp')}/"}  # noqa: S108
    replacements |= {"=/data": f"={data}", "-ip=store": "-ip=127.0.0.1", "=0.0.0.0": "=127.0.0.1"}
    replacements |= {"=8333": f"={ports['s3']}", "${GENEPT_BUCKET:-lake}": "lake"}
    command = service["command"]
    assert command[:3] == ["python", "-m", "genept.storage.certificates"]
    for original, replacement in replacements.items():
        command = [argument.replace(original, replacement) for argument in command]
    command = [{"python": sys.executable, "weed": str(server.program())}.get(c, c) for c in command]
    command += [f"-{name}.port={port}" for name, port in ports.items() if name != "s3"]
    environment = dict.fromkeys(service["environment"], "signing-key-of-the-test") | KEYS
    process = subprocess.Popen(
        command,
        cwd=COMPOSE.parents[1],
        env=environment | {"PATH": "/usr/bin:/bin", "HOME": str(data)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield f"http://127.0.0.1:{ports['s3']}", psutil.Process(process.pid), data
    process.terminate()
    process.wait(30)
    server.remove_sockets(ports)


def healthy(service: dict[str, Any], url: str) -> bool:
    _, python, *check = service["healthcheck"]["test"]
    assert python == "python"
    command = [argument.replace("http://127.0.0.1:8333", url) for argument in check]
    return (
        subprocess.run([sys.executable, *command], capture_output=True, check=False).returncode == 0
    )


def test_the_store_is_healthy_has_its_bucket_and_refuses_other_keys(
    service: dict[str, Any], composed: tuple[str, psutil.Process, Path]
) -> None:
    url, process, data = composed
    until = time.monotonic() + 60
    while not healthy(service, url):
        assert time.monotonic() < until, "it never became healthy"
        time.sleep(0.2)
    assert not healthy(service, "http://127.0.0.1:9"), "a check that cannot fail is none"
    access = (url, KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"], "us-east-1", "lake")
    with ObjectStore(*access) as store:
        while True:  # the bucket is made just after the server is up
            try:
                store.put_if_absent("genept/one", b"kept")
                break
            except StoreError:
                assert time.monotonic() < until
                time.sleep(0.2)
        assert store.get("genept/one") == b"kept"
    with (
        ObjectStore(*access[:2], "another-secret", *access[3:]) as stranger,
        pytest.raises(StoreError),
    ):
        stranger.get("genept/one")
    answered = attack(process, url, data, "genept/one", None)
    assert len(answered) == 1, "nobody without keys got an answer"
    with ObjectStore(*access) as store:
        assert [info.key for info in store.list("")] == ["genept/one"]
        assert store.get("genept/one") == b"kept"


def test_only_code_server_and_worker_reach_the_store_and_no_port_is_published(
    service: dict[str, Any],
) -> None:
    compose = yaml.safe_load(COMPOSE.read_text())
    (network,) = service["networks"]
    reaching = {
        name
        for name, definition in compose["services"].items()
        if network in definition["networks"]
    }
    assert reaching == {"store", "code", "worker"}
    assert compose["networks"][network]["internal"] is True
    assert "ports" not in service
