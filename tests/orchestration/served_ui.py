"""The UI of an installation, served as `make ui` serves it, until the test has seen it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from installations import PROJECT, Installation

SECONDS = 600
"""Nobody waits that long; a machine that is tested on may be busy."""


@contextmanager
def served_ui(
    installation: Installation, *options: str, env: Mapping[str, str] | None = None
) -> Iterator[str]:
    """`genept ui …` on a free port; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
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
        _wait(process, f"http://127.0.0.1:{port}/server_info", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        _end(process)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with urlopen(url, timeout=5):  # noqa: S310 - loopback
                return
        except (URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError(f"the UI did not come up: {log.read_text()[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C does; what does not end within a minute is killed with all its processes."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
