"""A real Prefect server on loopback that requires a key, and workers; both may be killed."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
from installations import PROJECT

READY_SECONDS = 300


class Served:
    """A server with its database in a folder; it is found at the same address after a restart."""

    def __init__(self, home: Path, *, with_ui: bool = False) -> None:
        self.home, self.key = home, f"genept:{secrets.token_hex(16)}"
        self.with_ui = with_ui
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.environment = {
            "PREFECT_API_URL": self.url,
            "PREFECT_API_AUTH_STRING": self.key,
            "PREFECT_HOME": str(home),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "PREFECT_SERVER_DATABASE_TIMEOUT": "60",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = started(
            [
                *(sys.executable, "-m", "prefect", "server", "start"),
                *(["--ui"] if self.with_ui else ["--no-ui"]),
                *("--host", "127.0.0.1", "--port", str(self.port)),
            ],
            self.environment | {"PREFECT_SERVER_API_AUTH_STRING": self.key},
            self.home / "server.log",
        )
        until(lambda: self.get("health").is_success, self.process, self.home / "server.log")

    def kill(self) -> None:
        if self.process is not None:
            kill_all(self.process)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}/{path}", auth=tuple(self.key.split(":")), timeout=10)

    def post(self, path: str, **body: object) -> list[dict]:
        """What the API lists."""
        response = httpx.post(
            f"{self.url}/{path}", json=body, auth=tuple(self.key.split(":")), timeout=10
        )
        response.raise_for_status()
        return response.json()

    @contextmanager
    def worker(self, settings: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
        """A worker that has these variables; yields when it is online."""
        name = f"test-{secrets.token_hex(4)}"
        log = self.home / f"{name}.log"
        worker = started(
            [sys.executable, "-m", "genept.cli", "worker", "--name", name],
            self.environment | dict(settings),
            log,
        )

        def is_online() -> bool:
            workers = self.post("work_pools/genept/workers/filter", offset=0, limit=200)
            return any(one["name"] == name and one["status"] == "ONLINE" for one in workers)

        try:
            until(is_online, worker, log)
            yield worker
        finally:
            kill_all(worker)


def started(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """A process with none of Prefect's variables but those that are given."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "GENEPT_"))}
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env=inherited | {"PYTHONPATH": str(PROJECT)} | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def kill_all(process: subprocess.Popen) -> None:
    """Kill (-9) a process and everything that it started."""
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.kill()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def until(is_ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a process is ready."""
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with suppress(httpx.HTTPError):
            if is_ready():
                return
        time.sleep(0.3)
    raise RuntimeError(f"{process.args} did not start: {log.read_text()[-3000:]}")


@contextmanager
def prefect_server(home: Path, *, with_ui: bool = False) -> Iterator[Served]:
    """A running server, with its database under `home`."""
    server = Served(home, with_ui=with_ui)
    server.start()
    try:
        yield server
    finally:
        server.kill()
