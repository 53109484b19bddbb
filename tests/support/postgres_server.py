"""A real Postgres on loopback, in a folder of its own, that a test may kill and start again."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg2
import pytest

USER = "dagster"
DATABASE = "postgres"
SECONDS_TO_START = 120


def programs() -> Path:
    """Folder of `initdb` and `postgres`; Debian keeps it off the path. Skips without them."""
    on_path = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if on_path is None and not debian:
        pytest.skip("Postgres is not installed: apt-get install postgresql")
    return Path(on_path).parent if on_path else debian[-1].parent


class PostgresServer:
    """One cluster: TCP on loopback with a password, no socket file."""

    def __init__(self, folder: Path, password: str) -> None:
        self.folder, self.password = folder, password
        self.bin = programs()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        # Postgres refuses to run as root.
        self.user = "nobody" if os.geteuid() == 0 else None
        self.process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Make the cluster, which requires its password."""
        words = self.folder / "password"
        words.write_text(self.password)
        if self.user:
            shutil.chown(self.folder, self.user)
            shutil.chown(words, self.user)
        subprocess.run(
            [
                *(str(self.bin / "initdb"), "--pgdata", str(self.folder / "data")),
                *("--username", USER, "--pwfile", str(words), "--auth=scram-sha-256"),
                *("--encoding=UTF8", "--locale=C"),
            ],
            user=self.user,
            cwd=self.folder,
            check=True,
            capture_output=True,
        )
        words.unlink()

    def start(self) -> None:
        """Start it, also after a kill, and wait until it accepts connections."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(str(self.bin / "postgres"), "-D", str(self.folder / "data")),
                    *("-p", str(self.port), "-c", "listen_addresses=127.0.0.1"),
                    *("-c", "unix_socket_directories="),
                ],
                user=self.user,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < until:
            try:
                self.connect().close()
                return
            except psycopg2.OperationalError:
                time.sleep(0.2)
        raise RuntimeError(f"Postgres did not start: {(self.folder / 'log').read_text()[-2000:]}")

    def kill(self) -> None:
        """SIGKILL to the server and to every process that serves a connection."""
        assert self.process is not None
        server = psutil.Process(self.process.pid)
        for process in (server, *server.children(recursive=True)):
            process.kill()
        self.process.wait()

    def connect(self) -> psycopg2.extensions.connection:
        """A connection as the platform makes it."""
        return psycopg2.connect(
            host="127.0.0.1",
            port=self.port,
            user=USER,
            password=self.password,
            dbname=DATABASE,
            connect_timeout=5,
        )

    @property
    def settings(self) -> dict[str, str]:
        """The environment that `infra/postgres/dagster.yaml` reads."""
        return {
            "GENEPT_POSTGRES_HOST": "127.0.0.1",
            "GENEPT_POSTGRES_PORT": str(self.port),
            "GENEPT_POSTGRES_DATABASE": DATABASE,
            "GENEPT_POSTGRES_USER": USER,
            "GENEPT_POSTGRES_PASSWORD": self.password,
        }


@contextmanager
def postgres_server(password: str | None = None) -> Iterator[PostgresServer]:
    """A running server; gone with its data afterwards."""
    programs()
    # Not in pytest's folder: that is closed to the user that the server runs as.
    with tempfile.TemporaryDirectory(prefix="genept-postgres-") as folder:
        server = PostgresServer(Path(folder), password or secrets.token_urlsafe(20))
        server.create()
        server.start()
        try:
            yield server
        finally:
            if server.process is not None and server.process.poll() is None:
                server.kill()
