"""The UI of an installation, served as `make ui` serves it, for the length of a test."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from chromium import SECONDS
from guarded_webserver import free_port
from installations import PROJECT, Installation


@dataclass(frozen=True)
class ServedUI:
    """A running UI."""

    address: str
    token: str
    process: subprocess.Popen[bytes]

    @property
    def link(self) -> str:
        """The link that was printed."""
        return f"{self.address}/?token={self.token}"

    @property
    def bearer(self) -> dict[str, str]:
        """Header with which a script sends the token."""
        return {"Authorization": f"Bearer {self.token}"}


@contextmanager
def served_ui(
    installation: Installation, *options: str, env: Mapping[str, str] | None = None
) -> Iterator[ServedUI]:
    """`genept ui …` on a free port, until the context ends."""
    port = free_port()
    log = installation.state / "ui.log"
    with log.open("wb") as lines:
        process = subprocess.Popen(
            installation.command("ui", "--port", str(port), *options),
            cwd=PROJECT,
            env=installation.environment(**(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=lines,
            stderr=lines,
            start_new_session=True,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(process, f"{address}/healthz", log)
        printed = re.findall(rf"{address}/\?token=(\S+)", log.read_text())
        assert len(printed) == 1, "the link is printed once"
        yield ServedUI(address, printed[0], process)
    finally:
        _end(process)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            httpx.get(url, timeout=5).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.5)
    raise RuntimeError(f"the UI did not come up: {log.read_text()[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the UI as Ctrl-C does; kill it with all its processes if it takes over a minute."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
