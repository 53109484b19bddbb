"""Dagster's real webserver behind the guard, over an instance of its own, on a free port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from installations import PROJECT

TOKEN = "a-token-that-only-tests-know"
VIEWER_TOKEN = "another-token-for-who-only-looks"
TOKENS = {"GENEPT_UI_TOKEN": TOKEN, "GENEPT_VIEWER_TOKEN": VIEWER_TOKEN}
INSTANCE = """
telemetry: {enabled: false}
nux: {enabled: false}
run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}
"""
"""Runs are launched without a daemon."""

SECONDS = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def guarded_webserver(home: Path, *options: str, **environment: str) -> Iterator[str]:
    """`python -m orchestration.webserver`, by default without code; yields its address."""
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text(INSTANCE)
    port = free_port()
    command = [sys.executable, "-m", "orchestration.webserver", "-h", "127.0.0.1"]
    code = () if "--python-file" in options else ("--empty-workspace",)
    log = home / "webserver.log"
    with log.open("wb") as lines:
        process = subprocess.Popen(
            [*command, "-p", str(port), *code, *options],
            cwd=PROJECT,
            env={
                **os.environ,
                "DAGSTER_HOME": str(home),
                **(TOKENS | environment),
            },
            stdout=lines,
            stderr=lines,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(process, address, log)
        yield address
    finally:
        process.terminate()
        process.wait(60)


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            httpx.get(f"{address}/healthz", timeout=5).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise RuntimeError(f"the webserver did not come up: {log.read_text()[-2000:]}")
