"""The processes beside the webserver of `genept ui`: the code server and the daemon.

The code server executes every request and requires no key, so it listens on a Unix socket in a
folder of this user, never on a port. All processes end with the one that started them, however it
ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Final

from genept.common import StoreError, console

STARTUP_SECONDS: Final = 180
ENDING_SECONDS: Final = 60
POLL_SECONDS: Final = 1.0

_TIED: Final = """
import ctypes, os, sys
parent, *command = sys.argv[1:]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 15)  # PR_SET_PDEATHSIG, SIGTERM
if os.getppid() != int(parent):
    sys.exit(1)
os.execv(command[0], command)
"""
"""Becomes the command, and has the kernel end it when its parent is killed."""


class Service:
    """A process that ends with this one.

    Parameters
    ----------
    name
        What it is, for messages.
    command
        Its command line.
    environment
        Its environment; None: that of this process.
    log
        File that its output is appended to; None: it is that of this process.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        self.name, self._environment, self._log = name, environment, log
        self._command = [sys.executable, "-c", _TIED, str(os.getpid()), *command]
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        # Ctrl-C reaches this process alone, which then interrupts each service once.
        alone = sys.platform == "linux"  # elsewhere the terminal ends them with this one
        with self._log.open("ab") if self._log else nullcontext() as log:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=alone,
            )

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def restart(self) -> None:
        """Start it again after it ended."""
        self._process = self._start()

    def interrupt(self) -> None:
        """Interrupt it, and do not wait."""
        if not self.has_ended:
            self._process.send_signal(signal.SIGINT)

    def end(self) -> None:
        """Interrupt it, and kill it if it does not end within a minute."""
        self.interrupt()
        try:
            self._process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def code_server() -> Iterator[tuple[Path, Service]]:
    """A code server on a socket; yields the workspace file that leads to it, once it answers.

    Raises
    ------
    StoreError
        If it ends before it answers, or does not answer in three minutes.
    """
    from orchestration.instance import CODE_LOCATION

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="genept-ui-")))
        address = folder / "code.sock"
        service = Service(
            "code server",
            [
                *(sys.executable, "-m", "dagster", "code-server", "start"),
                *("--socket", str(address), "--module-name", CODE_LOCATION),
                *("--location-name", CODE_LOCATION, "--working-directory", str(Path.cwd())),
                *("--use-python-environment-entry-point", "--log-level", "warning"),
            ],
        )
        stack.callback(service.end)
        workspace = folder / "workspace.yaml"
        location = {"socket": str(address), "location_name": CODE_LOCATION}
        workspace.write_text(json.dumps({"load_from": [{"grpc_server": location}]}))
        _wait_for(address, service)
        yield workspace, service


@contextmanager
def daemon(workspace: Path) -> Iterator[Service]:
    """Dagster's daemon, which runs schedules, sensors and the queue."""
    program = Path(sys.executable).with_name("dagster-daemon")
    service = Service(
        "daemon", [str(program), "run", "--workspace", str(workspace), "--log-level", "info"]
    )
    try:
        yield service
    finally:
        service.end()


@contextmanager
def watched(restarted: Sequence[Service], needed: Sequence[Service]) -> Iterator[None]:
    """Restart services in `restarted` that end; end this process if one in `needed` ends."""
    stopped = threading.Event()

    def watch() -> None:
        while not stopped.wait(POLL_SECONDS):
            for service in restarted:
                if service.has_ended:
                    console.print(f"the {service.name} ended and is started again")
                    service.restart()
            for service in needed:
                if service.has_ended:
                    console.print(f"the {service.name} ended, and the UI with it")
                    os.kill(os.getpid(), signal.SIGINT)
                    return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stopped.set()
        watcher.join()
        for service in (
            *restarted,
            *needed,
        ):  # all at once; the context that started each waits for it
            service.interrupt()


def _wait_for(address: Path, service: Service) -> None:
    """Wait until the code has been loaded, which is when the server begins to answer."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    request = health_pb2.HealthCheckRequest(service="DagsterApi")
    for _ in range(round(STARTUP_SECONDS / POLL_SECONDS)):
        if service.has_ended:
            raise StoreError("the code server did not start; the message above says why")
        with grpc.insecure_channel(f"unix:{address}") as channel:
            try:
                health_pb2_grpc.HealthStub(channel).Check(
                    request, timeout=POLL_SECONDS, wait_for_ready=True
                )
            except grpc.RpcError:
                continue
            return
    raise StoreError(f"the code server does not answer after {STARTUP_SECONDS} s")
